package cli

import (
	"fmt"
	"strings"

	"github.com/hutch-project/hutch/internal/nearest"
)

// unknownFlag returns the error for a flag that is not there: with the place where it
// could stand, or the flag that may be meant. The first words are those of Go's package
// flag, which engines know. rest is what follows the flag.
func (l *Line) unknownFlag(name string, rest []string) error {
	const text = "flag provided but not defined: -"
	own := l.Table.Globals
	if l.Command != nil {
		own = l.Command.AllFlags()
		if f := find(name, l.Table.Globals); f != nil {
			return fmt.Errorf("%s%s; --%s is a global flag: it stands before %s", text, name, f.Name, l.Command.Name)
		}
	} else {
		for _, word := range rest {
			if c := l.Table.Find(word); c != nil && find(name, c.Shared, c.Flags) != nil {
				return fmt.Errorf("%s%s; it is a flag of %s: it stands behind that", text, name, c.Name)
			}
		}
	}
	if like := nearest.To(name, append(flagNames(own), helpFlag.Name)); like != "" {
		return fmt.Errorf("%s%s; did you mean --%s?", text, name, like)
	}
	if like := nearest.To(name, flagNames(l.Table.Globals)); like != "" {
		return fmt.Errorf("%s%s; did you mean --%s, which stands before %s?", text, name, like, l.Command.Name)
	}
	return fmt.Errorf("%s%s", text, name)
}

// flagNames returns the long names of the flags that are not hidden.
func flagNames(flags []Flag) []string {
	var names []string
	for _, f := range flags {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	}
	return names
}

// commandNames returns the names of all commands.
func (t *Table) commandNames() []string {
	var names []string
	for _, c := range t.Commands {
		names = append(names, c.Name)
	}
	return names
}

// unknownCommand returns the error for a command that is not there.
func (t *Table) unknownCommand(name string) error {
	if like := nearest.To(name, t.commandNames()); like != "" {
		return fmt.Errorf("%q is no command; did you mean %s?", name, like)
	}
	return fmt.Errorf("%q is no command: there are %s", name, strings.Join(t.commandNames(), ", "))
}
