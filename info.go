package main

import (
	"fmt"
	"os"

	"github.com/hutch-project/hutch/internal/cli"
	hostinfo "github.com/hutch-project/hutch/internal/info"
)

var infoCommand = cli.Command{
	Name:  "info",
	Usage: "print what this host can do, and what helps where it cannot",
	Flags: []cli.Flag{
		{Name: "format", Alias: "f", Default: "text", Choices: []string{"text", "json"},
			Usage: "text or json"},
	},
	Help: "Asks the kernel and the host, as the caller, for what containers may want: system calls, " +
		"namespaces, controllers, security modules, file systems, programs. Of what is missing it prints " +
		"what brings it, and the command or package that helps. What this build of Hutch can do, whatever " +
		"the host can, is what the command features prints.",
	Examples: []cli.Example{
		{Line: "hutch info", Does: "all features, by groups"},
		{Line: "hutch info --format json | jq '.features[] | select(.state != \"yes\")'",
			Does: "those that are missing, or not there for all"},
	},
	Exits: []cli.Exit{{Status: "2",
		When: "no container can run here, since something is missing that all need"}},
	Do: info,
}

// cannotRun is the exit status of info on a host that no container runs on.
const cannotRun = 2

func info(l *cli.Line) error {
	r, err := newRuntime(l)
	if err != nil {
		return err
	}
	report, err := hostinfo.Ask(version, os.Getenv("PATH"), r.Bus())
	if err != nil {
		return fmt.Errorf("info: %w", err)
	}
	write := report.WriteText
	if l.String("format") == "json" {
		write = report.WriteJSON
	}
	if err := write(os.Stdout); err != nil {
		return err
	}
	if report.Missing() != nil {
		return exitStatus(cannotRun)
	}
	return nil
}
