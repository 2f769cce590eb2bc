package main

import "github.com/urfave/cli/v2"

func runCommand() *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "create and start a container, wait for its end, delete it",
		ArgsUsage: "ID",
		Flags: append(createFlags(),
			&cli.BoolFlag{Name: "detach", Aliases: []string{"d"}, Usage: "return when the process runs"},
			&cli.BoolFlag{Name: "keep", Usage: "do not delete the container when its process has ended"},
			&cli.BoolFlag{Name: "no-subreaper", Usage: "do not become the reaper of orphaned processes"}),
		Action: func(c *cli.Context) error {
			if err := protect(); err != nil {
				return err
			}
			o, err := createOptions(c)
			if err != nil {
				return err
			}
			o.Detach, o.Keep, o.NoReaper = c.Bool("detach"), c.Bool("keep"), c.Bool("no-subreaper")
			r, err := newRuntime(c)
			if err != nil {
				return err
			}
			status, err := r.Run(o)
			if err == nil && status != 0 {
				return exitStatus(status)
			}
			return err
		},
	}
}
