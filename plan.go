package main

import (
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/hutch-project/hutch/internal/life"
)

func planCommand() *cli.Command {
	return &cli.Command{
		Name:      "plan",
		Usage:     "print the program of a bundle, and run nothing",
		ArgsUsage: "[ID]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "bundle", Aliases: []string{"b"}, Usage: "`DIR` of config.json (default: the working directory)"},
			&cli.StringFlag{Name: "format", Aliases: []string{"f"}, Value: "text", Usage: "text or json"},
			&cli.BoolFlag{Name: "no-pivot", Usage: "as for create"},
			&cli.BoolFlag{Name: "verify", Usage: "prove the program, and print each rule with the instructions that satisfy it"},
		},
		Action: func(c *cli.Context) error {
			r, err := newRuntime(c)
			if err != nil {
				return err
			}
			bundle := c.String("bundle")
			if bundle == "" {
				if bundle, err = os.Getwd(); err != nil {
					return err
				}
			}
			p, err := r.Plan(&life.CreateOptions{ID: c.Args().First(), Bundle: bundle, NoPivot: c.Bool("no-pivot")})
			if err != nil {
				return err
			}
			var out interface {
				WriteText(io.Writer) error
				WriteJSON(io.Writer) error
			} = p
			if c.Bool("verify") {
				if out, err = p.Verify(); err != nil {
					return err
				}
			}
			switch format := c.String("format"); format {
			case "text":
				return out.WriteText(os.Stdout)
			case "json":
				return out.WriteJSON(os.Stdout)
			default:
				return fmt.Errorf("--format: %q is not text or json", format)
			}
		},
	}
}
