package main

import (
	"os"

	"github.com/urfave/cli/v2"

	"hutch/libcontainer"
)

func startCommand() *cli.Command {
	return &cli.Command{
		Name:      "start",
		Usage:     "execute the process of a created container",
		ArgsUsage: "ID",
		Flags:     []cli.Flag{&cli.StringFlag{Name: "trace", Usage: "write a Chrome trace to `FILE`"}},
		Action: func(c *cli.Context) error {
			if err := protect(); err != nil {
				return err
			}
			id, err := oneID(c)
			if err != nil {
				return err
			}
			r, err := newRuntime(c)
			if err != nil {
				return err
			}
			return r.Start(id, &libcontainer.StartOptions{TraceFile: c.String("trace"), NotifySocket: os.Getenv("NOTIFY_SOCKET")})
		},
	}
}
