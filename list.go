package main

import (
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"
)

func listCommand() *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "list the containers of the state directory",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Aliases: []string{"f"}, Value: "table", Usage: "table or json"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print ids only"},
		},
		Action: func(c *cli.Context) error {
			if args, err := reparse(c); err != nil {
				return err
			} else if len(args) != 0 {
				return fmt.Errorf("list: takes no arguments; got %d", len(args))
			}
			r, err := newRuntime(c)
			if err != nil {
				return err
			}
			// A mistyped directory must not look like one without containers.
			if c.IsSet("root") {
				if _, err := os.Stat(r.Root); err != nil {
					return fmt.Errorf("list: --root: %w", err)
				}
			}
			list, err := r.List()
			if err != nil {
				return err
			}
			switch format := c.String("format"); {
			case c.Bool("quiet"):
				for _, s := range list {
					fmt.Println(s.ID)
				}
				return nil
			case format == "json":
				return json.NewEncoder(os.Stdout).Encode(list)
			case format != "table":
				return fmt.Errorf("--format: %q is not table or json", format)
			}
			w := tabwriter.NewWriter(os.Stdout, 12, 1, 3, ' ', 0)
			fmt.Fprint(w, "ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER\n")
			for _, s := range list {
				fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", s.ID, s.Pid, s.Status, s.Bundle, s.Created.Format(time.RFC3339Nano), s.Owner)
			}
			return w.Flush()
		},
	}
}
