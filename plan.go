package main

import (
	"io"
	"os"

	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/life"
)

var planCommand = cli.Command{
	Name:      "plan",
	Usage:     "print the program of a bundle, and run nothing",
	Arguments: "[ID]", Wants: "at most 1 argument, the container id", Max: 1,
	Flags: []cli.Flag{
		{Name: "bundle", Alias: "b", Word: cli.Dir, Usage: "`DIR` of config.json (default: the working directory)"},
		{Name: "config", Word: cli.File, Usage: "`FILE` to read in place of the bundle's config.json"},
		{Name: "format", Alias: "f", Default: "text", Choices: []string{"text", "json"}, Usage: "text or json"},
		{Name: "no-pivot", Kind: cli.Bool, Usage: "as for create"},
		{Name: "verify", Kind: cli.Bool, Usage: "prove the program, and print each rule with the instructions that satisfy it"},
	},
	Help: "Prints each system call that create would make, with the element of config.json that it is " +
		"for. It needs no privileges. With --verify it proves the program instead, on all the ways that " +
		"it can take, and prints each rule with the instructions that satisfy it; a rule that is broken " +
		"is an error that says which, where and how the program comes there.",
	Examples: []cli.Example{
		{Line: "hutch plan --bundle bundle", Does: "what create would do"},
		{Line: "hutch plan --verify -b bundle", Does: "why that is safe"},
	},
	Do: plan,
}

func plan(line *cli.Line) error {
	rt, err := newRuntime(line)
	if err != nil {
		return err
	}
	o := &life.CreateOptions{ConfigFile: line.String("config"), NoPivot: line.Bool("no-pivot")}
	if o.Bundle, err = bundleDir(line); err != nil {
		return err
	}
	if len(line.Words) == 1 {
		o.ID = line.Words[0]
	}
	p, err := rt.Plan(o)
	if err != nil {
		return err
	}
	var out interface {
		WriteText(io.Writer) error
		WriteJSON(io.Writer) error
	} = p
	if line.Bool("verify") {
		if out, err = p.Verify(); err != nil {
			return err
		}
	}
	if line.String("format") == "json" {
		return out.WriteJSON(os.Stdout)
	}
	return out.WriteText(os.Stdout)
}
