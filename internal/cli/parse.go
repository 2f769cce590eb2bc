package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hutch-project/hutch/internal/nearest"
)

// Line is a parsed command line.
type Line struct {
	Table   *Table
	Command *Command // nil where none is named
	Help    bool     // --help was given: nothing else counts
	Global  Values
	Values           // of the command's own flags
	Words   []string // the arguments
}

// Values are flags that were given, those before the command or those behind it.
type Values struct {
	shared, own []Flag
	given       []setting
}

// setting is a flag that was given, with its value as written.
type setting struct {
	flag  *Flag
	value string
}

// Parse reads the words that follow the program's name. Flags have one dash or two, and
// their value behind a = or in the next word; what is given twice counts as given last.
// Those of a command may stand between and behind its arguments, except where another
// program's command line begins; behind -- nothing is a flag.
//
// The Line is never nil: with an error it holds what was read until then, so that the
// caller knows where to log it.
func Parse(t *Table, words []string) (*Line, error) {
	l := &Line{Table: t}
	l.Global = Values{nil, t.Globals, make([]setting, 0, 8)}
	words, _, err := l.take(&l.Global, words)
	if err != nil || l.Help || len(words) == 0 {
		return l, err
	}
	if l.Command = t.Find(words[0]); l.Command == nil {
		return l, t.unknownCommand(words[0])
	}
	l.Values = Values{l.Command.Shared, l.Command.Flags, make([]setting, 0, 12)}
	for words = words[1:]; len(words) > 0; words = words[1:] {
		var ended bool
		if words, ended, err = l.take(&l.Values, words); err != nil || l.Help {
			return l, err
		}
		if ended || l.Command.Verbatim {
			l.Words = append(l.Words, words...)
			break
		}
		if len(words) == 0 {
			break
		}
		l.Words = append(l.Words, words[0])
	}
	return l, nil
}

// CheckWords returns an error unless the number of arguments is one that the command
// takes.
func (l *Line) CheckWords() error {
	c, n := l.Command, len(l.Words)
	switch {
	case n >= c.Min && n <= c.Max:
		return nil
	case c.Max == 0:
		return fmt.Errorf("%s: takes no arguments; got %d", c.Name, n)
	}
	return fmt.Errorf("%s: requires %s; got %d", c.Name, c.Wants, n)
}

// take takes the flags off the front of words and returns the rest; ended is true when
// a -- stood before it.
func (l *Line) take(values *Values, words []string) (rest []string, ended bool, err error) {
	for len(words) > 0 && len(words[0]) > 1 && words[0][0] == '-' {
		if words[0] == "--" {
			return words[1:], true, nil
		}
		name, value, has := Cut(words[0])
		if name == "" || strings.HasPrefix(words[0], "---") {
			return nil, false, fmt.Errorf("bad flag syntax: %s", words[0])
		}
		f := find(name, values.shared, values.own)
		switch {
		case f == nil:
			return nil, false, l.unknownFlag(name, words[1:])
		case f == &helpFlag:
			l.Help = true
			return nil, false, nil
		}
		words = words[1:]
		switch {
		case f.Kind == Bool && !has:
			value = "true"
		case !has && len(words) == 0:
			return nil, false, fmt.Errorf("flag needs an argument: -%s", name)
		case !has:
			value, words = words[0], words[1:]
		}
		if err := f.check(name, value); err != nil {
			return nil, false, err
		}
		values.given = append(values.given, setting{f, value})
	}
	return words, false, nil
}

// check returns an error for a value that the flag, given by name, cannot have.
func (f *Flag) check(name, value string) error {
	var err error
	want := ""
	switch f.Kind {
	case Bool:
		if _, err = strconv.ParseBool(value); err != nil {
			return fmt.Errorf("invalid boolean value %q for -%s: give true or false, or no value", value, name)
		}
	case Int:
		_, err = strconv.ParseInt(value, 0, 0)
		want = "give a whole number"
	case Duration:
		_, err = time.ParseDuration(value)
		want = "give a time with its unit, as 500ms, 5s or 2m"
	case String:
		return f.checkChoice(value)
	}
	if err != nil {
		return fmt.Errorf("invalid value %q for flag -%s: %s", value, name, want)
	}
	return nil
}

func (f *Flag) checkChoice(value string) error {
	if f.Open || len(f.Choices) == 0 || slices.Contains(f.Choices, value) {
		return nil
	}
	last := len(f.Choices) - 1
	err := fmt.Errorf("--%s: %q is not %s or %s", f.Name, value, strings.Join(f.Choices[:last], ", "), f.Choices[last])
	if hint := nearest.Hint(value, f.Choices); hint != "" {
		return fmt.Errorf("%w; %s", err, hint)
	}
	return err
}

// Cut splits a word that may be a flag into the name, without dashes, and the value behind
// a =, if it has one.
func Cut(word string) (name, value string, has bool) {
	for len(word) > 0 && word[0] == '-' {
		word = word[1:]
	}
	return strings.Cut(word, "=")
}

// last returns the value of a flag that counts, and whether it was given. A flag that is
// not in the table is a mistake of the program's.
func (v *Values) last(name string, kind Kind) (string, bool) {
	for i := len(v.given) - 1; i >= 0; i-- {
		if s := &v.given[i]; s.flag.Name == name && s.flag.Kind == kind {
			return s.value, true
		}
	}
	if f := find(name, v.shared, v.own); f != nil && f.Name == name && f.Kind == kind {
		return f.Default, false
	}
	panic("cli: no such flag, or of another kind: " + name)
}

// IsSet reports whether the flag was given.
func (v *Values) IsSet(name string) bool {
	return slices.ContainsFunc(v.given, func(s setting) bool { return s.flag.Name == name })
}

// String returns the value of a flag that is a String.
func (v *Values) String(name string) string {
	value, _ := v.last(name, String)
	return value
}

// Bool returns the value of a flag that is a Bool.
func (v *Values) Bool(name string) bool {
	value, given := v.last(name, Bool)
	if !given || value == "true" {
		return given
	}
	b, _ := strconv.ParseBool(value) // checked
	return b
}

// Int returns the value of a flag that is an Int.
func (v *Values) Int(name string) int {
	value, given := v.last(name, Int)
	if !given {
		return 0
	}
	n, _ := strconv.ParseInt(value, 0, 0) // checked
	return int(n)
}

// Duration returns the value of a flag that is a Duration.
func (v *Values) Duration(name string) time.Duration {
	value, _ := v.last(name, Duration)
	d, _ := time.ParseDuration(value) // checked, and the default is tested
	return d
}

// List returns the values of a flag that is a List, in order.
func (v *Values) List(name string) []string {
	v.last(name, List)
	var out []string
	for i := range v.given {
		if v.given[i].flag.Name == name {
			out = append(out, v.given[i].value)
		}
	}
	return out
}
