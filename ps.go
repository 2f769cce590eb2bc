package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
)

func psCommand() *cli.Command {
	return &cli.Command{
		Name:      "ps",
		Usage:     "list the processes of a container",
		ArgsUsage: "ID [PS OPTIONS]",
		Flags:     []cli.Flag{&cli.StringFlag{Name: "format", Aliases: []string{"f"}, Value: "table", Usage: "table or json"}},
		Action: func(c *cli.Context) error {
			if c.NArg() < 1 {
				return fmt.Errorf("ps: requires at least 1 argument, the container id")
			}
			r, err := newRuntime(c)
			if err != nil {
				return err
			}
			pids, err := r.Pids(c.Args().First())
			if err != nil {
				return err
			}
			switch format := c.String("format"); format {
			case "json":
				return json.NewEncoder(os.Stdout).Encode(pids)
			case "table":
				return psTable(pids, c.Args().Tail())
			default:
				return fmt.Errorf("--format: %q is not table or json", format)
			}
		},
	}
}

// psTable prints the lines of ps(1) whose PID is one of pids.
func psTable(pids []int, options []string) error {
	if len(options) == 0 {
		options = []string{"-ef"}
	}
	out, err := exec.Command("ps", options...).Output()
	if err != nil {
		return fmt.Errorf("ps %s: %w", strings.Join(options, " "), err)
	}
	lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	column := slices.Index(strings.Fields(lines[0]), "PID")
	if column < 0 {
		return fmt.Errorf("ps %s: the output has no column PID; leave the options out or add pid", strings.Join(options, " "))
	}
	fmt.Println(lines[0])
	for _, line := range lines[1:] {
		fields := strings.Fields(line)
		if column >= len(fields) {
			continue
		}
		if pid, err := strconv.Atoi(fields[column]); err == nil && slices.Contains(pids, pid) {
			fmt.Println(line)
		}
	}
	return nil
}
