package main

import (
	"os"

	"github.com/hutch-project/hutch/internal/cli"
)

var eventsCommand = cli.Command{
	Name:      "events",
	Usage:     "print what a container uses, and when the OOM killer comes",
	Arguments: "ID", Wants: oneID, Min: 1, Max: 1,
	Words: []cli.Word{cli.ID}, States: []string{"running", "created", "paused"},
	Flags: []cli.Flag{
		{Name: "interval", Kind: cli.Duration, Default: "5s", Usage: "time between two stats events"},
		{Name: "stats", Kind: cli.Bool, Usage: "print one stats event and leave"},
	},
	Help: "Prints what a container uses, as one JSON object a line: of type stats at each interval, of " +
		"type oom when the kernel has killed a process for want of memory. It ends with the container.",
	Examples: []cli.Example{
		{Line: "hutch events --stats web1", Does: "once"},
		{Line: "hutch events --interval 1s web1", Does: "each second, until the container ends"},
	},
	Do: events,
}

func events(l *cli.Line) error {
	r, err := newRuntime(l)
	if err != nil {
		return err
	}
	if !l.Bool("stats") {
		return r.Events(l.Words[0], l.Duration("interval"), os.Stdout)
	}
	line, err := r.Stats(l.Words[0])
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(line)
	return err
}
