package cli

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hutch-project/hutch/tests/testplain"
)

func TestMain(m *testing.M) { testplain.Main(m) }

// example is a table with all kinds of flags.
func example() *Table {
	return &Table{
		Name: "prog", Usage: "do things", Help: "It does things.",
		Globals: []Flag{
			{Name: "root", Usage: "`DIR` of state"},
			{Name: "format", Default: "text", Choices: []string{"text", "json"}, Usage: "text or json"},
			{Name: "mode", Default: "auto", Choices: []string{"true", "auto"}, Open: true},
			{Name: "debug", Kind: Bool, Usage: "write more"},
		},
		Commands: []*Command{
			{
				Name: "make", Usage: "make one", Arguments: "ID", Wants: "exactly 1 argument, the id", Min: 1, Max: 1,
				Shared: []Flag{{Name: "bundle", Alias: "b", Word: Dir, Usage: "`DIR` of it"}, {Name: "detach", Alias: "d", Kind: Bool}},
				Flags: []Flag{
					{Name: "fds", Kind: Int, Usage: "`N` of them"}, {Name: "every", Kind: Duration, Default: "5s"},
					{Name: "old", Hidden: true},
				},
				Examples: []Example{{"prog make a", "make a"}}, Exits: []Exit{{"N", "its own"}},
			},
			{
				Name: "in", Usage: "run in one", Arguments: "ID COMMAND...", Verbatim: true, Min: 1, Max: Many, Failed: 255,
				Wants: "the id and the command", Words: []Word{ID}, States: []string{"running"},
				Flags: []Flag{{Name: "env", Alias: "e", Kind: List, Usage: "`NAME=VALUE`"}, {Name: "tty", Alias: "t", Kind: Bool}},
			},
			{Name: "list", Alias: "l", Usage: "list all"},
			{Name: "signal", Min: 1, Max: 2, Words: []Word{ID, Signal}, Wants: "1 or 2 arguments"},
		},
	}
}

// values is all that a command can learn from its command line.
func values(l *Line) string {
	var out []string
	show := func(v *Values, flags []Flag) {
		for _, f := range flags {
			if !v.IsSet(f.Name) {
				continue
			}
			var value any
			switch f.Kind {
			case String:
				value = v.String(f.Name)
			case Bool:
				value = v.Bool(f.Name)
			case Int:
				value = v.Int(f.Name)
			case Duration:
				value = v.Duration(f.Name)
			case List:
				value = strings.Join(v.List(f.Name), "|")
			}
			out = append(out, fmt.Sprintf("%s=%v", f.Name, value))
		}
	}
	show(&l.Global, l.Table.Globals)
	if l.Command != nil {
		out = append(out, l.Command.Name)
		show(&l.Values, l.Command.AllFlags())
	}
	if l.Help {
		out = append(out, "HELP")
	}
	return strings.Join(out, " ") + ":" + strings.Join(l.Words, "|")
}

func TestParse(t *testing.T) {
	for line, want := range map[string]string{
		"make id":                                       "make:id",
		"--root /r make -b /b -d id":                    "root=/r make bundle=/b detach=true:id",
		"-root /r -root=/s make id":                     "root=/s make:id", // the last counts
		"--root= make id":                               "root= make:id",
		"--debug --debug=false make id":                 "debug=false make:id",
		"make --bundle=/b --b /c id":                    "make bundle=/c:id",
		"make -bundle /b id -d":                         "make bundle=/b detach=true:id", // behind the id
		"make id --fds 0x10 --every=250ms":              "make fds=16 every=250ms:id",
		"make -b -d id":                                 "make bundle=-d:id", // a value may look like a flag
		"make -d=0 id":                                  "make detach=false:id",
		"make - id":                                     "make:-|id",
		"make -- -d --":                                 "make:-d|--",
		"make id -- -d":                                 "make:id|-d",
		"make --old x id":                               "make old=x:id",
		"in -e A=b,c --env C=d -t id sh -c --x -- -t y": "in env=A=b,c|C=d tty=true:id|sh|-c|--x|--|-t|y",
		"in --e A --env= id":                            "in env=A|:id",
		"in -- id -t":                                   "in:id|-t",
		"in id --help":                                  "in:id|--help",
		"in":                                            "in:",
		"l":                                             "list:",
		"":                                              ":",
		"--help":                                        "HELP:",
		"make -h --nosuch":                              "make HELP:",
		"make id --help":                                "make HELP:id",
		"--mode other list":                             "mode=other list:",
	} {
		l, err := Parse(example(), strings.Fields(line))
		if err != nil {
			t.Errorf("%s: %v", line, err)
		} else if got := values(l); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", line, got, want)
		}
	}
}

// TestParseErrors: the first words of each are those that engines know from other runtimes.
func TestParseErrors(t *testing.T) {
	for line, want := range map[string]string{
		"make --bundle":         "flag needs an argument: -bundle",
		"make -b":               "flag needs an argument: -b",
		"make --nosuch id":      "flag provided but not defined: -nosuch",
		"make --bundel x id":    "flag provided but not defined: -bundel; did you mean --bundle?",
		"make --rot x id":       "flag provided but not defined: -rot; did you mean --root, which stands before make?",
		"make --root x id":      "flag provided but not defined: -root; --root is a global flag: it stands before make",
		"-b x make id":          "flag provided but not defined: -b; it is a flag of make: it stands behind that",
		"make id --hlep":        "flag provided but not defined: -hlep; did you mean --help?",
		"make --fds x id":       `invalid value "x" for flag -fds: give a whole number`,
		"make --fds= id":        `invalid value "" for flag -fds: give a whole number`,
		"make --every 5 id":     `invalid value "5" for flag -every: give a time with its unit, as 500ms, 5s or 2m`,
		"make -d=maybe id":      `invalid boolean value "maybe" for -d: give true or false, or no value`,
		"--format xml list":     `--format: "xml" is not text or json`,
		"--format jsno list":    `--format: "jsno" is not text or json; did you mean json?`,
		"make ---d id":          "bad flag syntax: ---d",
		"make --=v id":          "bad flag syntax: --=v",
		"mke id":                `"mke" is no command; did you mean make?`,
		"frobnicate":            `"frobnicate" is no command: there are make, in, list, signal`,
		"--debug -- frobnicate": `"frobnicate" is no command: there are make, in, list, signal`,
	} {
		l, err := Parse(example(), strings.Fields(line))
		if err == nil || err.Error() != want {
			t.Errorf("%s:\ngot  %v\nwant %s", line, err, want)
		}
		if l == nil {
			t.Errorf("%s: no line", line)
		}
	}
	// What was read before the mistake is there: the log stands before it.
	l, _ := Parse(example(), []string{"--root", "/r", "make", "--nosuch"})
	if l.Global.String("root") != "/r" || l.Command == nil {
		t.Errorf("got %s", values(l))
	}
}

func TestDefaults(t *testing.T) {
	l, err := Parse(example(), []string{"make", "id"})
	if err != nil {
		t.Fatal(err)
	}
	if l.Global.String("format") != "text" || l.Global.Bool("debug") || l.Int("fds") != 0 || l.Duration("every") != 5*time.Second || l.String("bundle") != "" {
		t.Errorf("got %s", values(l))
	}
	defer func() {
		if recover() == nil {
			t.Error("a flag that is not in the table has a value")
		}
	}()
	l.String("nosuch")
}

func TestCheckWords(t *testing.T) {
	for line, want := range map[string]string{
		"make":         "make: requires exactly 1 argument, the id; got 0",
		"make a b":     "make: requires exactly 1 argument, the id; got 2",
		"in":           "in: requires the id and the command; got 0",
		"list a":       "list: takes no arguments; got 1",
		"signal a b c": "signal: requires 1 or 2 arguments; got 3",
		"make a":       "<nil>", "in a b c d": "<nil>", "list": "<nil>", "signal a": "<nil>",
	} {
		l, err := Parse(example(), strings.Fields(line))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(l.CheckWords()); got != want {
			t.Errorf("%s: got %s, want %s", line, got, want)
		}
	}
}

// FuzzParse: whatever the words are, they are read to the end or an error is returned, and
// none is lost.
func FuzzParse(f *testing.F) {
	for _, line := range []string{"--root /r make -b /b -d id", "in -e A=b id -- x", "make --fds 1 --every 2s -- -d", "-- list", "---", "--format"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words := strings.Split(line, " ")
		l, err := Parse(example(), words)
		if err != nil || l.Help || l.Command == nil {
			return
		}
		values(l)
		for _, w := range l.Words {
			if !slices.Contains(words, w) {
				t.Errorf("%q: the argument %q is made up", line, w)
			}
		}
		last := words[len(words)-1]
		if n := len(l.Words); n > 0 && l.Command.Verbatim && l.Words[n-1] != last {
			t.Errorf("%q: the last word is lost: %q", line, l.Words)
		}
	})
}
