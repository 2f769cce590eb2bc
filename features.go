package main

import (
	"encoding/json"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/hutch-project/hutch/internal/features"
)

func featuresCommand() *cli.Command {
	return &cli.Command{
		Name:  "features",
		Usage: "print what this build can do, as JSON",
		Action: func(*cli.Context) error {
			e := json.NewEncoder(os.Stdout)
			e.SetIndent("", "    ")
			return e.Encode(features.Document(version, commit))
		},
	}
}
