package main

import (
	"encoding/json"
	"os"

	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/features"
)

var featuresCommand = cli.Command{
	Name:  "features",
	Usage: "print what this build can do, as JSON",
	Help:  "Prints what this build can do: the features structure of the runtime specification, as JSON.",
	Max:   cli.Many, // as runc, which looks at none
	Examples: []cli.Example{
		{Line: "hutch features", Does: "print all"},
		{Line: "hutch features | jq .mountOptions", Does: "print the options that mounts may have"},
	},
	Do: printFeatures,
}

func printFeatures(*cli.Line) error {
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "    ")
	return e.Encode(features.Document(version, commit))
}
