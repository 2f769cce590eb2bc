package main

import (
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"
)

// flags is a parsed command line.
type flags interface {
	String(name string) string
	Bool(name string) bool
	Int(name string) int
	StringSlice(name string) []string
	IsSet(name string) bool
	// Words are the arguments that are no flags.
	Words() ([]string, error)
}

// kind is the type of a flag's value.
type kind uint8

const (
	text kind = iota
	boolean
	number
	list // given as often as one likes
)

// option is a flag.
type option struct {
	name, alias string
	kind        kind
	def         string // of a text; empty for all other kinds
	usage       string
}

// command is one of those that engines call all the time: hot parses their usual
// command lines, and cli/v2 the unusual ones.
type command struct {
	name, words, usage string
	options            []option
	// verbatim says that what follows the first word is not Hutch's to read:
	// another program's command line.
	verbatim bool
	do       func(flags) error
}

// globals are the flags before the command.
var globals = [...]option{
	{name: "root", usage: "`DIR` for the state of containers (default: /run/hutch)"},
	{name: "log", usage: "`FILE` to append messages to"},
	{name: "log-format", def: "text", usage: "text or json"},
	{name: "debug", kind: boolean, usage: "write what helps to find a fault"},
	{name: "cgroup-manager", usage: "who makes cgroups: cgroupfs (default), systemd or disabled"},
	{name: "systemd-cgroup", kind: boolean, usage: "short for --cgroup-manager systemd"},
	{name: "rootless", def: "auto", usage: "tolerate unusable cgroups: true, false or auto"},
}

// cliFlags are options in cli's form.
func cliFlags(options []option) []cli.Flag {
	out := make([]cli.Flag, 0, len(options))
	for _, o := range options {
		var aliases []string
		if o.alias != "" {
			aliases = []string{o.alias}
		}
		switch o.kind {
		case text:
			out = append(out, &cli.StringFlag{Name: o.name, Aliases: aliases, Value: o.def, Usage: o.usage})
		case boolean:
			out = append(out, &cli.BoolFlag{Name: o.name, Aliases: aliases, Usage: o.usage})
		case number:
			out = append(out, &cli.IntFlag{Name: o.name, Aliases: aliases, Usage: o.usage})
		case list:
			out = append(out, &cli.StringSliceFlag{Name: o.name, Aliases: aliases, Usage: o.usage})
		}
	}
	return out
}

// cli is the command in cli's form.
func (c *command) cli() *cli.Command {
	return &cli.Command{
		Name: c.name, Usage: c.usage, ArgsUsage: c.words, Flags: cliFlags(c.options),
		Action: func(x *cli.Context) error { return c.do(parsed{x, c.verbatim}) },
	}
}

// parsed is a command line that cli has parsed.
type parsed struct {
	*cli.Context
	verbatim bool
}

func (p parsed) Words() ([]string, error) {
	if p.verbatim {
		return p.Args().Slice(), nil
	}
	return reparse(p.Context)
}

// oneWord is the only word of the command name, a container id.
func oneWord(f flags, name string) (string, error) {
	words, err := f.Words()
	if err != nil {
		return "", err
	}
	if len(words) != 1 {
		return "", fmt.Errorf("%s: requires exactly 1 argument, the container id; got %s", name, strconv.Itoa(len(words)))
	}
	return words[0], nil
}
