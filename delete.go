package main

import "github.com/hutch-project/hutch/internal/cli"

var deleteCommand = cli.Command{
	Name:      "delete",
	Usage:     "delete a container that has stopped or was never started",
	Arguments: "ID", Wants: oneID, Min: 1, Max: 1,
	Words: []cli.Word{cli.ID}, States: []string{"stopped", "created"},
	Flags: []cli.Flag{
		{Name: "force", Alias: "f", Kind: cli.Bool, Usage: "kill it first; an unknown id is no error"},
	},
	Help: "Removes the cgroup and the state of a container that has stopped, or that was created " +
		"and not started, and then runs the hooks poststop. It also takes back what a create that " +
		"was killed half-way has left.",
	Examples: []cli.Example{
		{Line: "hutch delete web1", Does: "delete a stopped container"},
		{Line: "hutch delete --force web1", Does: "delete it whatever it does"},
	},
	Do: deleteContainer,
}

func deleteContainer(l *cli.Line) error {
	r, err := newRuntime(l)
	if err != nil {
		return err
	}
	return r.Delete(l.Words[0], l.Bool("force"))
}
