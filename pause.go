package main

import (
	"github.com/urfave/cli/v2"

	"github.com/hutch-project/hutch/internal/life"
)

func pauseCommand() *cli.Command {
	return oneIDCommand("pause", "stop all processes of a container", (*life.Runtime).Pause)
}

func resumeCommand() *cli.Command {
	return oneIDCommand("resume", "let the processes of a paused container go on", (*life.Runtime).Resume)
}

// oneIDCommand is a command that takes a container id and no flags.
func oneIDCommand(name, usage string, do func(*life.Runtime, string) error) *cli.Command {
	return &cli.Command{
		Name: name, Usage: usage, ArgsUsage: "ID",
		Action: func(c *cli.Context) error {
			id, err := oneID(c)
			if err != nil {
				return err
			}
			r, err := newRuntime(c)
			if err != nil {
				return err
			}
			return do(r, id)
		},
	}
}
