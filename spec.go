package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/hutch-project/hutch/internal/template"
)

func specCommand() *cli.Command {
	return &cli.Command{
		Name:  "spec",
		Usage: "write a default config.json",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "bundle", Aliases: []string{"b"}, Usage: "`DIR` to write it to (default: the working directory)"},
			&cli.BoolFlag{Name: "rootless", Usage: "write one for a caller without privileges"},
		},
		Action: func(c *cli.Context) error {
			if args, err := reparse(c); err != nil {
				return err
			} else if len(args) != 0 {
				return fmt.Errorf("spec: takes no arguments; got %d", len(args))
			}
			s := template.Spec()
			if c.Bool("rootless") {
				template.Rootless(s)
			}
			text, err := json.MarshalIndent(s, "", "\t")
			if err != nil {
				return err
			}
			path := filepath.Join(c.String("bundle"), "config.json")
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("file %s exists. Remove it first", path)
			}
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.Write(append(text, '\n'))
			return err
		},
	}
}
