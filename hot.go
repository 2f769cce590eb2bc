package main

import (
	"slices"
	"strconv"
)

// hotCommands are parsed without cli/v2, whose set-up is a tenth of the time of a
// state or kill.
var hotCommands = [...]*command{&createCommand, &startCommand, &runCommand, &execCommand, &stateCommand, &killCommand, &deleteCommand}

// hotLine is a command line of one of hotCommands.
type hotLine struct {
	command *command
	set     []setting
	words   []string
}

// setting is a flag that was given.
type setting struct {
	option *option
	value  string
}

// hot parses the command line args, of which the first is the program's name. It
// takes what engines write and nothing that could be wrong: false hands the line
// to cli/v2, which knows the rest and all errors.
func hot(args []string) (*hotLine, bool) {
	l := &hotLine{set: make([]setting, 0, 16)}
	rest, ok := l.flags(globals[:], args[1:])
	if !ok || len(rest) == 0 {
		return nil, false
	}
	for _, c := range hotCommands {
		if c.name == rest[0] {
			l.command = c
		}
	}
	if l.command == nil {
		return nil, false
	}
	rest = rest[1:]
	if l.command.verbatim {
		if rest, ok = l.flags(l.command.options, rest); !ok || len(rest) == 0 {
			return nil, false
		}
		l.words = rest
		return l, true
	}
	// Flags may stand after words.
	for {
		if rest, ok = l.flags(l.command.options, rest); !ok {
			return nil, false
		}
		if len(rest) == 0 {
			return l, true
		}
		l.words = append(l.words, rest[0])
		rest = rest[1:]
	}
}

// flags takes flags off the front of words.
func (l *hotLine) flags(options []option, words []string) (rest []string, ok bool) {
	for len(words) > 0 && len(words[0]) > 1 && words[0][0] == '-' {
		name, value, has := cut(words[0])
		o := find(options, name)
		if o == nil || words[0][:2] == "--" && words[0][2] == '-' || !l.once(o) {
			return nil, false
		}
		words = words[1:]
		switch {
		case o.kind == boolean:
			if has {
				return nil, false
			}
			value = "true"
		case !has:
			if len(words) == 0 {
				return nil, false
			}
			value, words = words[0], words[1:]
		}
		if o.kind == number {
			if n, err := strconv.Atoi(value); err != nil || strconv.Itoa(n) != value {
				return nil, false
			}
		}
		l.set = append(l.set, setting{o, value})
	}
	return words, true
}

// oneForm returns args with the aliases of lists written in full, as far as it can tell
// flags from words: cli takes the two names of a flag for a contradiction.
func oneForm(args []string) []string {
	out := slices.Clone(args)
	at, _ := inFull(globals[:], out, 1)
	if at == len(out) {
		return out
	}
	for _, c := range hotCommands {
		if c.name != out[at] {
			continue
		}
		for at, ok := at, true; ok && at+1 < len(out); {
			at, ok = inFull(c.options, out, at+1)
			ok = ok && !c.verbatim
		}
	}
	return out
}

// inFull does the flags from args[at] on and returns the place behind them; ok is false
// behind what is no flag of options.
func inFull(options []option, args []string, at int) (next int, ok bool) {
	for ; at < len(args) && len(args[at]) > 1 && args[at][0] == '-'; at++ {
		name, value, has := cut(args[at])
		o := find(options, name)
		if o == nil {
			return at, false
		}
		if o.kind == list && name == o.alias {
			args[at] = "--" + o.name
			if has {
				args[at] += "=" + value
			}
		}
		if !has && o.kind != boolean {
			at++ // its value
		}
	}
	return min(at, len(args)), true
}

func find(options []option, name string) *option {
	for i := range options {
		if o := &options[i]; o.name == name || o.alias == name && name != "" {
			return o
		}
	}
	return nil
}

// once says that the flag has not been given before, or is a list, which may be by
// each of its names. cli has rules of its own for what else is given twice.
func (l *hotLine) once(o *option) bool {
	if o.kind == list {
		return true
	}
	for i := range l.set {
		if l.set[i].option == o {
			return false
		}
	}
	return true
}

// last is the value that counts.
func (l *hotLine) last(name string) (string, bool) {
	for i := len(l.set) - 1; i >= 0; i-- {
		if l.set[i].option.name == name {
			return l.set[i].value, true
		}
	}
	return "", false
}

func (l *hotLine) IsSet(name string) bool { _, ok := l.last(name); return ok }
func (l *hotLine) Bool(name string) bool  { return l.IsSet(name) }

func (l *hotLine) String(name string) string {
	if v, ok := l.last(name); ok {
		return v
	}
	for _, options := range [...][]option{globals[:], l.command.options} {
		if o := find(options, name); o != nil {
			return o.def
		}
	}
	return ""
}

func (l *hotLine) Int(name string) int {
	v, _ := l.last(name)
	n, _ := strconv.Atoi(v) // checked
	return n
}

func (l *hotLine) StringSlice(name string) []string {
	var out []string
	for i := range l.set {
		if l.set[i].option.name == name {
			out = append(out, l.set[i].value)
		}
	}
	return out
}

func (l *hotLine) Words() ([]string, error) { return l.words, nil }
