package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/internal/cli"
)

// TestTable: each row of the table is whole, and its flags cannot be mistaken.
func TestTable(t *testing.T) {
	var names []string
	for _, c := range table.Commands {
		names = append(names, c.Name, c.Alias)
		if c.Usage == "" || c.Help == "" || c.Do == nil || len(c.Examples) != 2 {
			t.Errorf("%s: a part of its row is missing", c.Name)
		}
		if c.Max > 0 && c.Max != cli.Many && (c.Wants == "" || c.Arguments == "") || c.Min > c.Max || len(c.Words) > c.Max {
			t.Errorf("%s: arguments %q, %d to %d, wants %q", c.Name, c.Arguments, c.Min, c.Max, c.Wants)
		}
		checkFlags(t, c.Name, c.AllFlags())
		for _, e := range c.Examples {
			checkExample(t, c, e.Line)
		}
	}
	checkFlags(t, "global", table.Globals)
	slices.Sort(names)
	names = slices.DeleteFunc(names, func(n string) bool { return n == "" })
	if !slices.Equal(names, slices.Compact(slices.Clone(names))) {
		t.Errorf("a command is there twice: %q", names)
	}
}

func checkFlags(t *testing.T, command string, flags []cli.Flag) {
	t.Helper()
	seen := map[string]bool{"help": true, "h": true}
	for _, f := range flags {
		for _, name := range []string{f.Name, f.Alias} {
			if name != "" && seen[name] {
				t.Errorf("%s: two flags are called %s", command, name)
			}
			seen[name] = true
		}
		if f.Usage == "" || strings.HasSuffix(f.Usage, ".") || len(f.Alias) > 1 || strings.Count(f.Usage, "`")%2 != 0 {
			t.Errorf("%s: --%s: %+v", command, f.Name, f)
		}
		if f.Default == "" {
			continue
		}
		probe := &cli.Table{Globals: []cli.Flag{f}}
		if _, err := cli.Parse(probe, []string{"--" + f.Name, f.Default}); err != nil {
			t.Errorf("%s: its own default is refused: %v", command, err)
		}
	}
}

// ofHutch finds the command lines of hutch in a line of the shell.
var ofHutch = regexp.MustCompile(`(?:^|[|;&(] *)hutch( [^|;&>)]*)`)

// checkExample parses an example as the program would.
func checkExample(t *testing.T, c *cli.Command, line string) {
	t.Helper()
	found := ofHutch.FindAllStringSubmatch(line, -1)
	if len(found) == 0 || len(line) > 76 {
		t.Errorf("%s: example %q", c.Name, line)
	}
	for _, words := range found {
		l, err := cli.Parse(&table, strings.Fields(words[1]))
		if err == nil && l.Command != nil {
			err = l.CheckWords()
		}
		if err != nil {
			t.Errorf("%s: example %q: %v", c.Name, line, err)
		}
	}
}

// TestHelpTexts: each fits a screen of 80 columns and has all that a reader looks for.
func TestHelpTexts(t *testing.T) {
	for _, c := range append([]*cli.Command{nil}, table.Commands...) {
		var b strings.Builder
		if err := cli.WriteHelp(&b, &table, c); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		for line := range strings.Lines(text) {
			if len(line) > 80+1 || strings.TrimRight(line, " \n") != strings.TrimSuffix(line, "\n") {
				t.Errorf("line %q", line)
			}
		}
		if c == nil {
			continue
		}
		for _, want := range []string{"NAME:", "USAGE:", "DESCRIPTION:", "OPTIONS:", "EXAMPLES:", "EXIT STATUS:", c.Examples[1].Line} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", c.Name, want, text)
			}
		}
	}
}

// TestArgumentsAreNamed: a command takes arguments if its usage names some, and no others: a word
// that is passed over in silence is a mistake that nobody hears of.
func TestArgumentsAreNamed(t *testing.T) {
	for _, c := range table.Commands {
		if (c.Arguments != "") != (c.Max > 0) {
			t.Errorf("%s: its usage names %q, and it takes up to %d", c.Name, c.Arguments, c.Max)
		}
	}
}

// TestWhatEnginesWrite parses command lines of containerd, podman, CRI-O and Docker.
func TestWhatEnginesWrite(t *testing.T) {
	for _, line := range []string{
		"--root /run/r --log /l.json --log-format json --systemd-cgroup create --bundle /b --pid-file /p --console-socket /c id",
		"--root=/run/r --log=/l --log-format=json start id",
		"--root /r --log /l --log-format json kill --all id 9",
		"--root=/r --systemd-cgroup --root=/r --systemd-cgroup exec -d --console-socket=/s --tty --pid-file=/f id cmd -x",
		"kill -a id 9",
		"--root /r delete --force id",
		"delete id --force",
		"--rootless=true ps --format json id",
		"--log-format=json --log /l exec --process /p.json --detach --pid-file /f --console-socket /s id",
		"exec --preserve-fds 2 -e A=b,c --env C=d -t --user 1:2 --cap CAP_CHOWN id sh -c --x -- y",
		"--cgroup-manager systemd run --no-pivot -b /b -d id",
		"run --bundle /b --no-pivot --keep -no-subreaper id",
		"update --resources=- id", "update --resources - id", "update id",
		"list --format=json", "list -q", "state id", "events --stats id", "events --interval=5s id", "ps --format table id -ef",
		"features", "--version",
	} {
		l, err := cli.Parse(&table, strings.Fields(line))
		if err == nil && l.Command != nil {
			err = l.CheckWords()
		}
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}
