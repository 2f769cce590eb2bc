package main

import (
	"encoding/json"
	"maps"
	"os"

	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/features"
	hostinfo "github.com/hutch-project/hutch/internal/info"
)

var featuresCommand = cli.Command{
	Name:  "features",
	Usage: "print what this build can do, as JSON",
	Help: "Prints what this build can do: the features structure of the runtime specification, as JSON. " +
		"Its annotations hutch.seat.* say who the caller is and what it may; the command info says it in words.",
	Examples: []cli.Example{
		{Line: "hutch features", Does: "print all"},
		{Line: "hutch features | jq .mountOptions", Does: "print the options that mounts may have"},
	},
	Do: printFeatures,
}

func printFeatures(*cli.Line) error {
	document := features.Document(version, commit)
	maps.Copy(document.Annotations, hostinfo.Seat())
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "    ")
	return e.Encode(document)
}
