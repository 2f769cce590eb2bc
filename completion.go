package main

import (
	"fmt"
	"slices"

	"github.com/hutch-project/hutch/internal/cli"
)

var completionCommand = cli.Command{
	Name:      "completion",
	Usage:     "print the completion script of a shell",
	Arguments: "bash|zsh|fish", Wants: "1 argument: bash, zsh or fish", Min: 1, Max: cli.Many,
	Choices: []string{"bash", "zsh", "fish"}, Verbatim: true,
	Help: "Prints a script that makes the shell complete commands, flags, their values, signals and " +
		"the ids of containers, of those in a fitting state: start is offered created ones. The " +
		"script asks hutch for each word, by completion words WORD..., and is never out of date.",
	Examples: []cli.Example{
		{Line: "source <(hutch completion bash)", Does: "complete in this shell"},
		{Line: "hutch completion fish > ~/.config/fish/completions/hutch.fish", Does: "complete in all shells to come"},
	},
	Do: completion,
}

func completion(line *cli.Line) error {
	shell := line.Words[0]
	if shell == "words" {
		_, err := fmt.Print(line.Table.Complete(line.Words[1:], idsIn).String())
		return err
	}
	script := cli.Script(shell)
	switch {
	case script == "":
		return fmt.Errorf("completion: there is none for %q; give bash, zsh or fish", shell)
	case len(line.Words) > 1:
		return fmt.Errorf("completion: requires 1 argument; got %d", len(line.Words))
	}
	_, err := fmt.Print(script)
	return err
}

// idsIn returns the ids of the containers that are in one of the states, of all with none.
// What is wrong is nothing to bother with while somebody types.
func idsIn(global *cli.Values, states []string) []string {
	r, err := newRuntime(&cli.Line{Global: *global})
	if err != nil {
		return nil
	}
	r.Warn, r.Note = nil, nil
	all, err := r.List()
	if err != nil {
		return nil
	}
	var ids []string
	for _, s := range all {
		if len(states) == 0 || slices.Contains(states, string(s.Status)) {
			ids = append(ids, s.ID)
		}
	}
	return ids
}
