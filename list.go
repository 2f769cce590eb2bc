package main

import (
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/libcontainer"
)

var listCommand = cli.Command{
	Name:  "list",
	Usage: "list the containers of the state directory",
	Flags: []cli.Flag{
		{Name: "format", Alias: "f", Default: "table", Choices: []string{"table", "json"}, Usage: "table or json"},
		{Name: "quiet", Alias: "q", Kind: cli.Bool, Usage: "print ids only"},
	},
	Help: "Lists the containers of the state directory: id, process id, status, bundle, time of " +
		"creation and owner of each.",
	Examples: []cli.Example{
		{Line: "hutch list", Does: "a table"},
		{Line: "hutch --root /run/user/1000/hutch list --quiet", Does: "the ids of another state directory"},
	},
	Do: list,
}

func list(l *cli.Line) error {
	r, err := newRuntime(l)
	if err != nil {
		return err
	}
	// A mistyped directory must not look like one without containers.
	if l.Global.IsSet("root") {
		if _, err := os.Stat(r.Root); err != nil {
			return fmt.Errorf("list: --root: %w", err)
		}
	}
	all, err := r.List()
	if err != nil {
		return err
	}
	switch {
	case l.Bool("quiet"):
		for _, s := range all {
			fmt.Println(s.ID)
		}
		return nil
	case l.String("format") == "json":
		return json.NewEncoder(os.Stdout).Encode(all)
	}
	return listTable(all)
}

func listTable(all []libcontainer.State) error {
	w := tabwriter.NewWriter(os.Stdout, 12, 1, 3, ' ', 0)
	fmt.Fprint(w, "ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER\n")
	for _, s := range all {
		created := s.Created.Format(time.RFC3339Nano)
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", s.ID, s.Pid, s.Status, s.Bundle, created, s.Owner)
	}
	return w.Flush()
}
