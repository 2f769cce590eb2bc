package main

import (
	"fmt"
	"os"
	"runtime"

	"github.com/hutch-project/hutch/internal/cli"
)

var helpCommand = cli.Command{
	Name: "help", Alias: "h",
	Usage:     "print the commands, or the help text of one",
	Arguments: "[COMMAND]", Wants: "at most 1 argument, the command", Max: 1,
	Words: []cli.Word{cli.Name},
	Help:  "Prints what hutch --help or hutch COMMAND --help prints.",
	Examples: []cli.Example{
		{Line: "hutch help", Does: "the commands and the global options"},
		{Line: "hutch help run", Does: "the command run"},
	},
	Do: help,
}

func help(l *cli.Line) error {
	if len(l.Words) == 0 {
		return cli.WriteHelp(os.Stdout, l.Table, nil)
	}
	c, err := l.Table.Lookup(l.Words[0])
	if err != nil {
		return err
	}
	return cli.WriteHelp(os.Stdout, l.Table, c)
}

var versionCommand = cli.Command{
	Name:  "version",
	Usage: "print the version, as --version does",
	Help:  "Prints the version, the commit, the version of the runtime specification, and that of Go.",
	Examples: []cli.Example{
		{Line: "hutch version", Does: "print all"},
		{Line: "hutch version | head -1", Does: "print the version alone"},
	},
	Do: func(*cli.Line) error {
		fmt.Print(versionText())
		return nil
	},
}

func versionText() string {
	return "hutch version " + version + "\ncommit: " + commit + "\nspec: 1.3.0\ngo: " + runtime.Version() + "\n"
}
