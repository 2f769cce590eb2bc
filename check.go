package main

import (
	"fmt"
	"os"

	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/life"
	"github.com/hutch-project/hutch/internal/life/inspect"
)

var checkCommand = cli.Command{
	Name:  "check",
	Usage: "find all that is wrong with a bundle, and run nothing",
	Flags: []cli.Flag{
		{Name: "bundle", Alias: "b", Word: cli.Dir,
			Usage: "`DIR` of config.json (default: the working directory)"},
		{Name: "config", Word: cli.File,
			Usage: "`FILE` to read in place of the bundle's config.json"},
		{Name: "format", Alias: "f", Default: "text", Choices: []string{"text", "json"},
			Usage: "text or json"},
		{Name: "as-user",
			Usage: "check as the `USER[:GROUP]` would be told, by names or ids; takes root"},
	},
	Help: "Prints what is wrong with a bundle, all of it at once: in config.json, in the files that it " +
		"names, and with this host for it. Each finding has its line and column, the element, what is " +
		"wrong, and what to do. An error keeps the container from running; a warning is of what is " +
		"asked for and not had, or hardly meant; a note is worth to be known. It makes nothing and " +
		"needs no privileges.",
	Examples: []cli.Example{
		{Line: "hutch check --bundle bundle", Does: "as the caller"},
		{Line: "hutch check -b bundle --as-user www-data",
			Does: "as a user without privileges, by root"},
	},
	// Scripts ask first whether it runs at all: so that is 1, as for other commands.
	Exits: []cli.Exit{{Status: "2",
		When: "there are warnings, and no errors; with notes alone it is 0, with an error 1"}},
	Do: check,
}

// onlyWarnings is the exit status of a check that has found warnings, and no errors.
const onlyWarnings = 2

func check(line *cli.Line) error {
	if user := line.String("as-user"); user != "" {
		if err := inspect.AsUser(user); err != nil {
			return fmt.Errorf("check: --as-user: %w", err)
		}
	}
	r, err := newRuntime(line)
	if err != nil {
		return err
	}
	o := &life.CreateOptions{ConfigFile: line.String("config")}
	if o.Bundle, err = bundleDir(line); err != nil {
		return err
	}
	report, err := inspect.Bundle(r, o)
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	write := report.WriteText
	if line.String("format") == "json" {
		write = report.WriteJSON
	}
	if err := write(os.Stdout); err != nil {
		return err
	}
	switch {
	case report.Count(inspect.Error) > 0:
		return exitStatus(1)
	case report.Count(inspect.Warning) > 0:
		return exitStatus(onlyWarnings)
	}
	return nil
}
