package main

import (
	"bytes"
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/config"
)

var mountsCommand = cli.Command{
	Name:      "mounts",
	Usage:     "add mounts to a container, or remove them",
	Arguments: "add|remove ID FILE", Min: 3, Max: 3,
	Wants: "add or remove, the container id and a file with mounts, - for standard input",
	Words: []cli.Word{cli.Any, cli.ID, cli.File}, States: []string{"created", "running", "paused"},
	Help: "Makes mounts in a container that is created, running or paused, or takes them away. FILE has " +
		"an array of mounts as config.json has it, or an object with one as mounts. The mounts are made in " +
		"their order, with the same options and mount points, and removed in the opposite one, where the " +
		"destination counts alone; nothing is taken back when one fails.",
	Examples: []cli.Example{
		{Line: "hutch mounts add web1 mounts.json", Does: "make the mounts of the file"},
		{Line: "hutch mounts remove web1 mounts.json", Does: "take them away again"},
	},
	Do: changeMounts,
}

func changeMounts(line *cli.Line) error {
	what, id, file := line.Words[0], line.Words[1], line.Words[2]
	if what != "add" && what != "remove" {
		return fmt.Errorf("mounts: %q is neither add nor remove", what)
	}
	mounts, err := readMounts(file)
	if err != nil {
		return fmt.Errorf("mounts %s %s: %w", what, id, err)
	}
	if what == "add" { // the file of the runtime is not to be reached by what is bound
		if err := protect(); err != nil {
			return err
		}
	}
	r, err := newRuntime(line)
	if err != nil {
		return err
	}
	if what == "add" {
		return r.AddMounts(id, mounts)
	}
	return r.RemoveMounts(id, mounts)
}

// readMounts reads an array of mounts, or an object with one.
func readMounts(file string) ([]specs.Mount, error) {
	read := func() ([]byte, error) { return config.ReadFile(file) }
	if file == "-" {
		read = config.ReadStdin
	}
	text, err := read()
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")) {
		text = append(append([]byte(`{"mounts":`), text...), '}')
	}
	spec, err := config.Decode(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(spec.Mounts) == 0 {
		return nil, fmt.Errorf("%s: has no mounts; give an array of them", file)
	}
	return spec.Mounts, nil
}
