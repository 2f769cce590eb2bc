package cgroup

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

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

// TestThawElsewhereOfOneThatEnds: a process that ends while its file is read needs no thawing.
func TestThawElsewhereOfOneThatEnds(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	usual := cgroupsOf
	defer func() { cgroupsOf = usual }()
	cgroupsOf = func(int) (string, error) {
		text, err := io.ReadAll(file)
		return string(text), err
	}
	p := Paths{"freezer": "/none"}
	if _, err := p.Now(cmd.Process.Pid); !errors.Is(err, unix.ESRCH) {
		t.Errorf("the file of a process that has ended: %v, want ESRCH", err)
	}
	if err := p.ThawElsewhere(cmd.Process.Pid); err != nil {
		t.Error(err)
	}
}
