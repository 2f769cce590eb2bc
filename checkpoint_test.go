package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/life"
)

// TestWordsOfCheckpointOptions: the flags, written out since nothing is done at package init, and
// the comments of the library name the words that internal/life takes.
func TestWordsOfCheckpointOptions(t *testing.T) {
	library, err := os.ReadFile("libcontainer/checkpoint.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []struct {
		flag, field string
		table       enum.Table
	}{{"manage-cgroups-mode", "ManageCgroups", life.CgroupModes}, {"network-lock", "NetworkLock", life.NetworkLocks}} {
		i := slices.IndexFunc(criuFlags, func(f cli.Flag) bool { return f.Name == words.flag })
		if f := criuFlags[i]; !slices.Equal(f.Choices, words.table.Names()) {
			t.Errorf("--%s has the choices %q, want %q", f.Name, f.Choices, words.table.Names())
		} else if usage := strings.ReplaceAll(f.Usage, " (default)", ""); !strings.Contains(usage, words.table.Or()) {
			t.Errorf("--%s: %q does not name %s", f.Name, f.Usage, words.table.Or())
		}
		if comment := words.field + " is " + words.table.Or() + ";"; !strings.Contains(string(library), comment) {
			t.Errorf("libcontainer/checkpoint.go has no comment %q", comment)
		}
	}
}

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
