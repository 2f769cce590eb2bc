package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// usageError is the error of a command line that cli does not take, with the flag that
// may be meant, and without cli's help text, which would go to standard output, where
// engines read.
func usageError(c *cli.Context, err error, _ bool) error {
	flag, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !unknown {
		return err
	}
	var names []string
	for _, f := range append(append([]cli.Flag{}, c.Command.Flags...), c.App.Flags...) {
		for _, n := range f.Names() {
			if len(n) > 1 {
				names = append(names, n)
			}
		}
	}
	if like := nearest(strings.TrimLeft(flag, "-"), names); like != "" {
		return fmt.Errorf("%w; did you mean --%s?", err, like)
	}
	return err
}

// noCommand is the action of a command line without a command, or with one that there
// is none of.
func noCommand(c *cli.Context) error {
	if !c.Args().Present() {
		return cli.ShowAppHelp(c)
	}
	name := c.Args().First()
	var names []string
	for _, k := range c.App.Commands {
		names = append(names, k.Name)
	}
	if like := nearest(name, names); like != "" {
		return fmt.Errorf("%q is no command; did you mean %s?", name, like)
	}
	return fmt.Errorf("%q is no command: there are %s", name, strings.Join(names, ", "))
}

// nearest is the one of names that a misspelt name may stand for, empty when none is
// like it.
func nearest(name string, names []string) string {
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
