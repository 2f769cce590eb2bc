package main

import (
	"github.com/urfave/cli/v2"

	"github.com/hutch-project/hutch/libcontainer"
)

func pauseCommand() *cli.Command {
	return oneIDCommand("pause", "stop all processes of a container", (*libcontainer.Runtime).Pause)
}

func resumeCommand() *cli.Command {
	return oneIDCommand("resume", "let the processes of a paused container go on", (*libcontainer.Runtime).Resume)
}

// oneIDCommand is a command that takes a container id and no flags.
func oneIDCommand(name, usage string, do func(*libcontainer.Runtime, string) error) *cli.Command {
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
