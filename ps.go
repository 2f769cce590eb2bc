package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/fault"
)

var psCommand = cli.Command{
	Name:      "ps",
	Usage:     "list the processes of a container",
	Arguments: "ID [PS OPTIONS]", Min: 1, Max: cli.Many,
	Wants: "at least 1 argument, the container id",
	Words: []cli.Word{cli.ID}, States: []string{"running", "created", "paused"},
	Verbatim: true,
	Flags: []cli.Flag{
		{Name: "format", Alias: "f", Default: "table", Choices: []string{"table", "json"}, Usage: "table or json"},
	},
	Help: "Runs ps(1) with the options given, -ef without any, and prints the lines of the processes " +
		"of the container. As JSON it is an array of process ids. All ids are those of the host.",
	Examples: []cli.Example{
		{Line: "hutch ps web1", Does: "all that ps -ef tells of them"},
		{Line: "hutch ps web1 -o pid,rss,args", Does: "other columns"},
	},
	Do: ps,
}

func ps(line *cli.Line) error {
	r, err := newRuntime(line)
	if err != nil {
		return err
	}
	pids, err := r.Pids(line.Words[0])
	if err != nil {
		return err
	}
	if line.String("format") == "json" {
		return json.NewEncoder(os.Stdout).Encode(pids)
	}
	return psTable(pids, line.Words[1:])
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
	fmt.Println(fault.Line(lines[0]))
	for _, line := range lines[1:] {
		fields := strings.Fields(line)
		if column >= len(fields) {
			continue
		}
		if pid, err := strconv.Atoi(fields[column]); err == nil && slices.Contains(pids, pid) {
			fmt.Println(fault.Line(line)) // the words of a command line are the image's choice
		}
	}
	return nil
}
