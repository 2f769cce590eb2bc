package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/internal/cli"
)

// TestTableOfCheckpointOptions: the table of docs/checkpoint.md has the flags that the
// commands have, each for the commands that have it.
func TestTableOfCheckpointOptions(t *testing.T) {
	text, err := os.ReadFile("docs/checkpoint.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows [2][]string
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 6 || !strings.HasPrefix(cells[1], " `--") {
			continue
		}
		for i, cell := range cells[3:5] {
			if strings.TrimSpace(cell) != "" {
				rows[i] = append(rows[i], strings.Trim(cells[1], " `-"))
			}
		}
	}
	for i, c := range []cli.Command{checkpointCommand, restoreCommand} {
		var flags []string
		for _, f := range slices.Concat(c.Shared, c.Flags) {
			flags = append(flags, f.Name)
		}
		slices.Sort(flags)
		slices.Sort(rows[i])
		if !slices.Equal(flags, rows[i]) {
			t.Errorf("%s has the flags\n%q, and the table\n%q", c.Name, flags, rows[i])
		}
	}
}
