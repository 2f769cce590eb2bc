package main

import "github.com/hutch-project/hutch/internal/cli"

var runCommand = cli.Command{
	Name:      "run",
	Usage:     "create and start a container, wait for its end, delete it",
	Arguments: "ID", Wants: oneID, Min: 1, Max: 1,
	Shared: createFlags,
	Flags: []cli.Flag{
		{Name: "keep", Kind: cli.Bool, Usage: "do not delete the container when its process has ended"},
		{Name: "no-subreaper", Kind: cli.Bool, Usage: "do not become the reaper of orphaned processes"},
	},
	Help: "Does create and start, passes signals and the terminal on, waits for the end of the " +
		"process, and deletes the container. With --detach it returns when the process runs.",
	Examples: []cli.Example{
		{Line: "hutch run --bundle bundle web1", Does: "run the bundle in the foreground"},
		{Line: "hutch run -d --pid-file web1.pid -b bundle web1", Does: "run it in the background"},
	},
	Exits: []cli.Exit{
		{Status: "N", When: "the process ended with status N"},
		{Status: "128+N", When: "signal N ended the process"},
	},
	Do: runContainer,
}

func runContainer(l *cli.Line) error {
	if err := protect(); err != nil {
		return err
	}
	o, err := newCreate(l)
	if err != nil {
		return err
	}
	o.Detach, o.Keep, o.NoReaper = l.Bool("detach"), l.Bool("keep"), l.Bool("no-subreaper")
	r, err := newRuntime(l)
	if err != nil {
		return err
	}
	status, err := r.Run(o)
	if err == nil && status != 0 {
		return exitStatus(status)
	}
	return err
}
