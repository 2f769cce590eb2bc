package main

import "github.com/hutch-project/hutch/internal/cli"

var deleteCommand = cli.Command{
	Name:      "delete",
	Usage:     "delete a container that has stopped or was never started",
	Arguments: "ID", Wants: oneID, Min: 1, Max: 1,
	Words: []cli.Word{cli.ID}, States: []string{"stopped", "created"},
	Flags: []cli.Flag{
		{Name: "force", Alias: "f", Kind: cli.Bool, Usage: "kill it first; an unknown id is no error"},
		{Name: "regex", Alias: "r", Kind: cli.Bool, Usage: regexUsage},
	},
	Help: "Removes the cgroup and the state of a container that has stopped, or that was created " +
		"and not started, and then runs the hooks poststop. It also takes back what a create that " +
		"was killed half-way has left. With --regex, what fails for one container is warned of.",
	Examples: []cli.Example{
		{Line: "hutch delete --force web1", Does: "delete it, whatever it does"},
		{Line: "hutch delete --regex '^test-'", Does: "delete all whose ids begin with test-, and which have stopped"},
	},
	Do: deleteContainer,
}

func deleteContainer(l *cli.Line) error {
	r, err := newRuntime(l)
	if err != nil {
		return err
	}
	remove := func(id string) error { return r.Delete(id, l.Bool("force")) }
	if l.Bool("regex") {
		return eachMatch(l, r, remove)
	}
	return remove(l.Words[0])
}
