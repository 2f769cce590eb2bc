package cli

import (
	"fmt"
	"strings"
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
	if like := Nearest(name, append(flagNames(own), helpFlag.Name)); like != "" {
		return fmt.Errorf("%s%s; did you mean --%s?", text, name, like)
	}
	if like := Nearest(name, flagNames(l.Table.Globals)); like != "" {
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
	if like := Nearest(name, t.commandNames()); like != "" {
		return fmt.Errorf("%q is no command; did you mean %s?", name, like)
	}
	return fmt.Errorf("%q is no command: there are %s", name, strings.Join(t.commandNames(), ", "))
}

// Nearest returns the one of names that a misspelt name may stand for, or an empty string
// when none is like it.
func Nearest(name string, names []string) string {
	best, least := "", max(1, len(name)/3)+1
	for _, n := range names {
		if d := distance(name, n); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance is the number of bytes to insert, to leave out, to change, or to swap with
// their neighbour, that make b of a.
//
// Source: the optimal string alignment distance.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
