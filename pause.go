package main

import (
	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/life"
)

var pauseCommand = cli.Command{
	Name:      "pause",
	Usage:     "stop all processes of a container",
	Arguments: "ID", Wants: oneID, Min: 1, Max: 1,
	Words: []cli.Word{cli.ID}, States: []string{"running", "created"},
	Help: "Stops all processes of a container, by freezing its cgroup. A paused container can be " +
		"killed with KILL, and exec refuses it unless it is told to --ignore-paused.",
	Examples: []cli.Example{
		{Line: "hutch pause web1", Does: "stop it where it is"},
		{Line: "hutch pause web1 && hutch state web1", Does: "the status is paused then"},
	},
	Do: func(l *cli.Line) error { return withID(l, (*life.Runtime).Pause) },
}

var resumeCommand = cli.Command{
	Name:      "resume",
	Usage:     "let the processes of a paused container go on",
	Arguments: "ID", Wants: oneID, Min: 1, Max: 1,
	Words: []cli.Word{cli.ID}, States: []string{"paused"},
	Help: "Lets the processes of a paused container go on. One that is not paused is an error.",
	Examples: []cli.Example{
		{Line: "hutch resume web1", Does: "let it go on"},
		{Line: "hutch pause web1; sleep 5; hutch resume web1", Does: "stop it for five seconds"},
	},
	Do: func(l *cli.Line) error { return withID(l, (*life.Runtime).Resume) },
}

// withID does something with the container that the line names.
func withID(l *cli.Line, do func(*life.Runtime, string) error) error {
	r, err := newRuntime(l)
	if err != nil {
		return err
	}
	return do(r, l.Words[0])
}
