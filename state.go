package main

import (
	"encoding/json"
	"os"

	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/jsontext"
)

var stateCommand = cli.Command{
	Name:      "state",
	Usage:     "print the state of a container as JSON",
	Arguments: "ID", Wants: oneID, Min: 1, Max: 1,
	Words: []cli.Word{cli.ID},
	Help: "Prints the state that the runtime specification defines, with rootfs, created and owner " +
		"besides. The status is creating, created, running, paused or stopped; the pid of a stopped " +
		"container is 0.",
	Examples: []cli.Example{
		{Line: "hutch state web1", Does: "print all"},
		{Line: "hutch state web1 | jq -r .status", Does: "print the status alone"},
	},
	Do: printState,
}

func printState(l *cli.Line) error {
	r, err := newRuntime(l)
	if err != nil {
		return err
	}
	s, err := r.State(l.Words[0])
	if err != nil {
		return err
	}
	e := json.NewEncoder(jsontext.Printable(os.Stdout))
	e.SetIndent("", "  ")
	return e.Encode(s)
}
