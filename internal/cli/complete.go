package cli

import (
	_ "embed" // the scripts of the shells
	"strings"
)

// Candidate is a word that completion offers, and what it does.
type Candidate struct{ Word, Does string }

// Lister returns the ids of the containers that are in one of the states, of all with
// none, for the global flags that stand on the line.
type Lister func(global *Values, states []string) []string

// Completion is what completion offers for a word.
type Completion struct {
	Candidates []Candidate
	Paths      Word // File or Dir where the shell is to offer names of files
}

// The scripts ask the program itself, by the command that completion is, for each word: so
// all shells offer the same, and none is out of date.
//
// urfave/cli has a completion of its own, which is not used: it knows no values, and needs
// a line that parses.

//go:embed completion/bash
var bashScript string

//go:embed completion/zsh
var zshScript string

//go:embed completion/fish
var fishScript string

// Script returns the completion script of a shell, empty for one that there is none for.
func Script(shell string) string {
	switch shell {
	case "bash":
		return bashScript
	case "zsh":
		return zshScript
	case "fish":
		return fishScript
	}
	return ""
}

// Complete returns what may stand for the last of words, which follow the program's name.
func (t *Table) Complete(words []string, list Lister) Completion {
	if len(words) == 0 {
		words = []string{""}
	}
	before, last := words[:len(words)-1], words[len(words)-1]
	l, open, literal := t.readUntil(before)
	if l == nil {
		return Completion{}
	}
	flags := t.Globals
	if l.Command != nil {
		flags = l.Command.AllFlags()
	}
	var out Completion
	switch name, value, has := Cut(last); {
	case open != nil: // the value of the flag before
		out = t.complete(l, last, open.Word, open.Choices, list)
	case !literal && has && strings.HasPrefix(last, "-"):
		if f := find(name, flags); f != nil {
			out = t.complete(l, value, f.Word, f.Choices, list)
		}
		prefix := strings.TrimSuffix(last, value)
		for i := range out.Candidates {
			out.Candidates[i].Word = prefix + out.Candidates[i].Word
		}
	case !literal && strings.HasPrefix(last, "-"):
		out.Candidates = flagCandidates(flags)
	case l.Command == nil:
		out = t.complete(l, last, Name, nil, list)
	case len(l.Words) < len(l.Command.Words):
		out = t.complete(l, last, l.Command.Words[len(l.Words)], nil, list)
	case l.Command.Choices != nil && len(l.Words) == 0:
		out = t.complete(l, last, Any, l.Command.Choices, list)
	case l.Command.Verbatim:
		out.Paths = File
	}
	return out.startingWith(last)
}

// readUntil reads words as Parse does, but for their mistakes. open is the flag whose value
// comes next, nil for none; literal is true when no flag may come. With a command that there
// is none of, the Line is nil.
func (t *Table) readUntil(words []string) (l *Line, open *Flag, literal bool) {
	l = &Line{Table: t}
	l.Global.own = t.Globals
	values := &l.Global
	for i := 0; i < len(words); i++ {
		word := words[i]
		if literal || len(word) < 2 || word[0] != '-' {
			if l.Command == nil {
				if l.Command = t.Find(word); l.Command == nil {
					return nil, nil, true
				}
				l.Values = Values{shared: l.Command.Shared, own: l.Command.Flags}
				values = &l.Values
				continue
			}
			l.Words = append(l.Words, word)
			literal = literal || l.Command.Verbatim
			continue
		}
		if word == "--" {
			literal = l.Command != nil
			continue
		}
		name, value, has := Cut(word)
		f := find(name, values.shared, values.own)
		if f == nil || f.Kind == Bool {
			continue
		}
		if !has {
			if i++; i == len(words) {
				return l, f, false
			}
			value = words[i]
		}
		values.given = append(values.given, setting{f, value})
	}
	return l, nil, literal
}

// complete returns what may stand for a word of a kind, of which last is there.
func (t *Table) complete(l *Line, last string, w Word, choices []string, list Lister) Completion {
	var out Completion
	for _, c := range choices {
		out.Candidates = append(out.Candidates, Candidate{Word: c})
	}
	switch w {
	case File, Dir:
		out.Paths = w
	case ID:
		states := l.Command.States
		for _, name := range [...]string{"force", "all"} { // these take any
			if f := find(name, l.Command.Flags); f != nil && l.IsSet(name) {
				states = nil
			}
		}
		for _, id := range list(&l.Global, states) {
			out.Candidates = append(out.Candidates, Candidate{Word: id})
		}
	case Signal:
		for _, name := range t.Signals() {
			if strings.HasPrefix(last, "SIG") {
				name = "SIG" + name
			}
			out.Candidates = append(out.Candidates, Candidate{Word: name})
		}
	case Name:
		for _, c := range t.Commands {
			out.Candidates = append(out.Candidates, Candidate{c.Name, c.Usage})
		}
	}
	return out
}

// flagCandidates returns the flags, by their long names.
func flagCandidates(flags []Flag) []Candidate {
	var out []Candidate
	for _, f := range append(flags[:len(flags):len(flags)], helpFlag) {
		if !f.Hidden {
			out = append(out, Candidate{"--" + f.Name, strings.ReplaceAll(f.Usage, "`", "")})
		}
	}
	return out
}

// startingWith leaves out what does not begin with a word.
func (c Completion) startingWith(word string) Completion {
	var out []Candidate
	for _, x := range c.Candidates {
		if strings.HasPrefix(x.Word, word) {
			out = append(out, x)
		}
	}
	c.Candidates = out
	return c
}

// String returns the form that the scripts read: a line a word, with what it does behind a
// tab, and a last line that says which names of files are to be offered besides.
func (c Completion) String() string {
	var b strings.Builder
	for _, x := range c.Candidates {
		b.WriteString(x.Word + "\t" + x.Does + "\n")
	}
	b.WriteString(map[Word]string{File: ":files\n", Dir: ":directories\n"}[c.Paths])
	return b.String()
}
