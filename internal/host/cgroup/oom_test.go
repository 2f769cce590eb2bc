package cgroup_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/cgroup/stats"
	"github.com/hutch-project/hutch/internal/sys"
	"github.com/hutch-project/hutch/tests/testwait"
)

// readable waits until there may be news of w, and reports whether there is before the
// deadline.
func readable(t *testing.T, w *stats.OOMWatch, deadline time.Time) bool {
	t.Helper()
	n, err := sys.Poll([]unix.PollFd{{Fd: int32(w.Fd()), Events: unix.POLLIN}}, deadline)
	if err != nil {
		t.Fatal(err)
	}
	return n > 0
}

func TestOOM(t *testing.T) {
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		needs(t, l, "memory")
		p, m := applied(t, l, memory(8<<20, 8<<20))
		w, err := stats.WatchOOM(m.Paths())
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if n, err := w.Read(); n != 0 || err != nil && err != io.EOF { // populated 0 so far
			t.Errorf("before: %d, %v", n, err)
		}
		inside(t, p, "exec head -c 100M /dev/zero | (exec tail -c 100M) >/dev/null")
		deadline := testwait.Deadline()
		total := 0
		for total == 0 && readable(t, w, deadline) {
			n, err := w.Read()
			if err != nil && err != io.EOF {
				t.Fatal(err)
			}
			total += n
		}
		if total == 0 {
			t.Error("no event")
		}
		kills, err := stats.OOMKills(m.Paths())
		if kills < 1 || err != nil {
			t.Errorf("OOMKills: %d, %v", kills, err)
		}
		if err := m.Remove(); err != nil {
			t.Fatal(err)
		}
		if !readable(t, w, deadline) {
			t.Fatal("no event for the cgroup's end")
		}
		for err == nil && time.Now().Before(deadline) {
			var n int
			n, err = w.Read()
			total += n
		}
		if l.Mode == cgroup.V2 && total != kills {
			t.Errorf("%d kills were told, of %d", total, kills)
		}
		if err != io.EOF {
			t.Errorf("at the end: %v, want io.EOF", err)
		}
	})
}

// TestOOMEndsWithTheContainer wants an event when the last process ends without
// an OOM.
func TestOOMEndsWithTheContainer(t *testing.T) {
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		needs(t, l, "memory")
		p, m := planned(t, l, "/"+unique())
		if err := settings(t, nil, l.Mode).Apply(p); err != nil {
			t.Fatal(err)
		}
		cmd := born(t, p, "echo ready; exec sleep 1000")
		w, err := stats.WatchOOM(m.Paths())
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if err := m.KillAll(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if l.Mode != cgroup.V2 { // there the cgroup's removal tells it
			if err := m.Remove(); err != nil {
				t.Fatal(err)
			}
		}
		for deadline := testwait.Deadline(); err == nil; {
			if !readable(t, w, deadline) {
				t.Fatal("no event")
			}
			var n int
			if n, err = w.Read(); n != 0 {
				t.Errorf("%d OOM kills", n)
			}
		}
		if err != io.EOF {
			t.Error(err)
		}
	})
}

func TestOOMNeedsTheController(t *testing.T) {
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		if has(t, l, "memory") {
			t.Skip("needs a host without the memory controller")
		}
		_, m := planned(t, l, "/"+unique())
		if _, err := stats.WatchOOM(m.Paths()); !errors.Is(err, cgroupfs.ErrNoController) {
			t.Errorf("got %v, want ErrNoController", err)
		}
		if n, err := stats.OOMKills(m.Paths()); n != 0 || err != nil {
			t.Errorf("OOMKills: %d, %v", n, err)
		}
	})
}
