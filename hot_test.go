package main

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// values is all that a command can learn from its command line.
func values(f flags, c *command) string {
	words, err := f.Words() // first: cli reads the flags that stand after words then
	var out []string
	for _, options := range [][]option{globals[:], c.options} {
		for _, o := range options {
			var v any
			switch o.kind {
			case text:
				v = f.String(o.name)
			case boolean:
				v = f.Bool(o.name)
			case number:
				v = f.Int(o.name)
			case list:
				v = f.StringSlice(o.name)
			}
			out = append(out, fmt.Sprintf("%s=%q set %v", o.name, fmt.Sprint(v), f.IsSet(o.name)))
		}
	}
	return fmt.Sprintf("%s %q %v %s", c.name, words, err, strings.Join(out, "; "))
}

// byCLI parses a line with cli/v2.
func byCLI(args []string) (got string, err error) {
	a := app()
	a.Before = nil
	for _, x := range a.Commands {
		for _, c := range hotCommands {
			if x.Name == c.name {
				x.Action = func(ctx *cli.Context) error {
					got = values(parsed{ctx, c.verbatim}, c)
					return nil
				}
			}
		}
	}
	err = a.Run(oneForm(args))
	return got, err
}

func agree(t *testing.T, args []string) (taken bool) {
	t.Helper()
	l, ok := hot(args)
	if !ok {
		return false
	}
	want, err := byCLI(args)
	if err != nil {
		t.Fatalf("%q: cli refuses it: %v", args, err)
	}
	if got := values(l, l.command); got != want {
		t.Fatalf("%q:\nhot %s\ncli %s", args, got, want)
	}
	return true
}

// TestHotTakesWhatEnginesWrite has the command lines of containerd, podman, CRI-O
// and Docker.
func TestHotTakesWhatEnginesWrite(t *testing.T) {
	for _, line := range []string{
		"hutch --root /run/r --log /l.json --log-format json --systemd-cgroup create --bundle /b --pid-file /p --console-socket /c id",
		"hutch --root=/run/r --log=/l --log-format=json start id",
		"hutch --root /r state id",
		"hutch --root /r --log /l --log-format json kill --all id 9",
		"hutch kill id KILL",
		"hutch --root /r delete --force id",
		"hutch delete id --force",
		"hutch --log-format=json --log /l exec --process /p.json --detach --pid-file /f --console-socket /s id",
		"hutch exec --preserve-fds 2 -e A=b,c --env C=d -t --user 1:2 --cap CAP_CHOWN id sh -c --x -- y",
		"hutch --cgroup-manager systemd run --no-pivot -b /b -d id",
	} {
		args := strings.Fields(line)
		if !agree(t, args) {
			t.Errorf("%q: left to cli", args)
		}
	}
}

// TestHotAgreesWithCLI holds both parsers against each other on lines made of all
// flags in all forms, of values that look like flags, and of mistakes.
func TestHotAgreesWithCLI(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	flag := func(options []option) []string {
		if len(options) == 0 || r.IntN(20) == 0 {
			return []string{pick("--nosuch", "-x", "--", "-", "--=v", "---root", "--help", "-h", "--root=")}
		}
		o := options[r.IntN(len(options))]
		name := pick("--", "-") + o.name
		if o.alias != "" && r.IntN(3) == 0 {
			name = pick("--", "-") + o.alias
		}
		value := pick("v", "", "-", "--debug", "7", "a,b", "x=y", "007", "0x10", "-3", "true")
		switch {
		case o.kind == boolean && r.IntN(8) > 0:
			return []string{name}
		case r.IntN(3) == 0:
			return []string{name + "=" + value}
		case o.kind == number && r.IntN(4) > 0:
			return []string{name, "12"}
		}
		return []string{name, value}
	}
	taken := 0
	for range 20000 {
		args := []string{"hutch"}
		for range r.IntN(3) {
			args = append(args, flag(globals[:])...)
		}
		c := hotCommands[r.IntN(len(hotCommands))]
		args = append(args, c.name)
		for range r.IntN(5) {
			if r.IntN(3) == 0 {
				args = append(args, pick("id", "web1", "9", "sh", ""))
			} else {
				args = append(args, flag(c.options)...)
			}
		}
		if agree(t, args) {
			taken++
		}
	}
	t.Logf("%d of 20000 lines were taken", taken)
	if taken < 3000 {
		t.Errorf("%d of 20000 lines were taken: the test tests little", taken)
	}
}

func TestCLIHasEveryCommandOnce(t *testing.T) {
	var names []string
	for _, c := range app().Commands {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	if !reflect.DeepEqual(names, slices.Compact(slices.Clone(names))) {
		t.Errorf("commands %q", names)
	}
}
