package cgroup

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testwait"
)

func TestOOM(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		needs(t, l, "memory")
		p, m := applied(t, l, memory(8<<20, 8<<20))
		w, err := m.OOM()
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
		for total == 0 && poll([]unix.PollFd{{Fd: int32(w.Fd()), Events: unix.POLLIN}}, deadline) {
			n, err := w.Read()
			if err != nil && err != io.EOF {
				t.Fatal(err)
			}
			total += n
		}
		if total == 0 {
			t.Error("no event")
		}
		kills, err := m.OOMKills()
		if kills < 1 || err != nil {
			t.Errorf("OOMKills: %d, %v", kills, err)
		}
		if err := m.Remove(); err != nil {
			t.Fatal(err)
		}
		if !poll([]unix.PollFd{{Fd: int32(w.Fd()), Events: unix.POLLIN}}, deadline) {
			t.Fatal("no event for the cgroup's end")
		}
		for err == nil && time.Now().Before(deadline) {
			var n int
			n, err = w.Read()
			total += n
		}
		if l.Mode == V2 && total != kills {
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
	forEach(t, func(t *testing.T, l *Layout) {
		needs(t, l, "memory")
		p, m := planned(t, l, "/"+unique())
		if err := p.Apply(settings(t, nil, l.Mode)); err != nil {
			t.Fatal(err)
		}
		cmd := born(t, p, "echo ready; exec sleep 1000")
		w, err := m.OOM()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if err := m.KillAll(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if l.Mode != V2 { // there the cgroup's removal tells it
			if err := m.Remove(); err != nil {
				t.Fatal(err)
			}
		}
		for deadline := testwait.Deadline(); err == nil; {
			if !poll([]unix.PollFd{{Fd: int32(w.Fd()), Events: unix.POLLIN}}, deadline) {
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
	forEach(t, func(t *testing.T, l *Layout) {
		if has(t, l, "memory") {
			t.Skip("needs a host without the memory controller")
		}
		_, m := planned(t, l, "/"+unique())
		if _, err := m.OOM(); !errors.Is(err, ErrNoController) {
			t.Errorf("got %v, want ErrNoController", err)
		}
		if n, err := m.OOMKills(); n != 0 || err != nil {
			t.Errorf("OOMKills: %d, %v", n, err)
		}
	})
}

func TestChown(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		p, _ := planned(t, l, "/"+unique())
		if err := p.Chown(12345, 54321); err != nil {
			t.Fatal(err)
		}
		list, err := os.ReadFile("/sys/kernel/cgroup/delegate")
		if err != nil {
			t.Fatal(err)
		}
		for i := range p.places {
			dir := p.places[i].abs
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			names := []string{"."}
			for _, e := range entries {
				names = append(names, e.Name())
			}
			for _, name := range names {
				var st unix.Stat_t
				if err := unix.Lstat(dir+"/"+name, &st); err != nil {
					t.Fatal(err)
				}
				want := [2]uint32{}
				if l.Mode == V2 && (name == "." || lists(string(list), name)) {
					want = [2]uint32{12345, 54321}
				}
				if got := [2]uint32{st.Uid, st.Gid}; got != want {
					t.Errorf("%s/%s belongs to %v, want %v", dir, name, got, want)
				}
			}
		}
		if l.Mode == V2 && !strings.Contains(string(list), "cgroup.procs") {
			t.Errorf("the kernel's list is %q", list)
		}
	})
}
