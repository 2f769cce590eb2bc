package cgroup

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/tests/testwait"
)

func TestFreeze(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		p, m := planned(t, l, "/"+unique())
		cmd := born(t, p, "echo ready; while :; do :; done")
		for range 3 {
			if err := m.Freeze(); err != nil {
				t.Fatal(err)
			}
			// A shell in such a loop is always running, or ready to.
			if _, state := processTime(t, cmd.Process.Pid); !m.Frozen() || state == "R" {
				t.Errorf("Frozen %v; the process is in state %s, and must not run", m.Frozen(), state)
			}
			before, _ := processTime(t, cmd.Process.Pid)
			if err := m.Thaw(); err != nil {
				t.Fatal(err)
			}
			if m.Frozen() {
				t.Error("Frozen after Thaw")
			}
			testwait.Until(t, "the process runs again", func() bool {
				now, _ := processTime(t, cmd.Process.Pid)
				return now != before
			})
		}
	})
	if err := (none{}).Freeze(); !errors.Is(err, ErrCannotFreeze) {
		t.Errorf("without cgroups: %v", err)
	}
}

// processTime is the user and system time of a process, and its state, as /proc has
// them.
func processTime(t *testing.T, pid int) (spent, state string) {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	return f[11] + " " + f[12], f[0]
}
