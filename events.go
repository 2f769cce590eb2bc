package main

import (
	"os"
	"time"

	"github.com/urfave/cli/v2"
)

func eventsCommand() *cli.Command {
	return &cli.Command{
		Name:      "events",
		Usage:     "tell what a container uses, and when the OOM killer comes",
		ArgsUsage: "ID",
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "interval", Value: 5 * time.Second, Usage: "time between two stats events"},
			&cli.BoolFlag{Name: "stats", Usage: "print one stats event and leave"},
		},
		Action: func(c *cli.Context) error {
			id, err := oneID(c)
			if err != nil {
				return err
			}
			r, err := newRuntime(c)
			if err != nil {
				return err
			}
			if !c.Bool("stats") {
				return r.Events(id, c.Duration("interval"), os.Stdout)
			}
			line, err := r.Stats(id)
			if err != nil {
				return err
			}
			_, err = os.Stdout.Write(line)
			return err
		},
	}
}
