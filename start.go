package main

import (
	"os"

	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/life"
)

var startCommand = cli.Command{
	Name:      "start",
	Usage:     "execute the process of a created container",
	Arguments: "ID", Wants: oneID, Min: 1, Max: 1,
	Words: []cli.Word{cli.ID}, States: []string{"created"},
	Flags: []cli.Flag{{Name: "trace", Word: cli.File, Usage: "write a Chrome trace to `FILE`"}},
	Help: "Lets the init of a created container execute the process of its config.json. The error " +
		"of an execve that fails is start's. A process that has ended already is no error.",
	Examples: []cli.Example{
		{Line: "hutch start web1", Does: "start what create has made"},
		{Line: "hutch start --trace trace.json web1", Does: "and write how long each step took"},
	},
	Do: start,
}

func start(l *cli.Line) error {
	if err := protect(); err != nil {
		return err
	}
	r, err := newRuntime(l)
	if err != nil {
		return err
	}
	o := &life.StartOptions{TraceFile: l.String("trace"), NotifySocket: os.Getenv("NOTIFY_SOCKET")}
	return r.Start(l.Words[0], o)
}
