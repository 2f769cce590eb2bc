package cgroup

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testwait"
)

func TestRestoring(t *testing.T) {
	for _, c := range []struct{ file, value, text, want string }{
		{"memory.max", "4096", "max", "max"},
		{"cpu.max", "5000 10000", "max 100000", "max 100000"},
		{"cpu.max", "max 10000", "5000 100000", "5000 100000"},
		{"cpuset.cpus", "0", "", "\n"},
		{"io.max", "8:0 rbps=1", "8:16 rbps=9 wbps=max riops=max wiops=max\n8:0 rbps=max wbps=5 riops=max wiops=max", "8:0 rbps=max wbps=5 riops=max wiops=max"},
		{"io.max", "8:0 rbps=1", "", "8:0 rbps=max wbps=max riops=max wiops=max"},
		{"io.weight", "50", "default 100\n8:0 20", "default 100"},
		{"io.weight", "8:0 50", "default 100\n8:0 20", "8:0 20"},
		{"io.bfq.weight", "8:0 50", "default 100", "8:0 default"},
		{"blkio.throttle.read_bps_device", "8:0 50", "", "8:0 0"},
		{"net_prio.ifpriomap", "eth0 5", "lo 0\neth0 2", "eth0 2"},
		{"rdma.max", "mlx hca_object=1", "", "mlx hca_handle=max hca_object=max"},
		{"memory.oom_control", "1", "oom_kill_disable 0\nunder_oom 0\noom_kill 0", "0"},
		{"new.table", "key 1", "", "!"},
		{"new.list", "1", "a 1\nb 2", "!"},
	} {
		got, ok := restoring(Write{File: c.file, Value: c.value}, c.text, true)
		if ok != (c.want != "!") || ok && got.Value != c.want {
			t.Errorf("%s %q over %q: taken back by %q, %v, want %q", c.file, c.value, c.text, got.Value, ok, c.want)
		}
	}
}

// TestUpdate goes up and down, with values that have to change in one order or
// the other, while a process runs.
func TestUpdate(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		needs(t, l, "memory", "cpu", "pids")
		make := func(limit, swap, quota int64, period, burst uint64) *specs.LinuxResources {
			return &specs.LinuxResources{
				Memory: &specs.LinuxMemory{Limit: &limit, Swap: &swap},
				CPU:    &specs.LinuxCPU{Quota: &quota, Period: &period, Burst: &burst},
				Pids:   &specs.LinuxPids{Limit: ptr(limit >> 20)},
			}
		}
		steps := []*specs.LinuxResources{
			make(32<<20, 64<<20, 20000, 100000, 10000),
			make(128<<20, 160<<20, 200000, 100000, 150000),
			make(32<<20, 48<<20, 5000, 20000, 1000),
			make(256<<20, -1, -1, 100000, 0),
			make(32<<20, 32<<20, 50000, 50000, 50000),
		}
		p, m := applied(t, l, steps[0])
		born(t, p, "echo ready; exec sleep 1000")
		for i, r := range steps[1:] {
			s := settings(t, r, l.Mode)
			if err := m.Update(nil, s); err != nil {
				t.Fatalf("step %d: %v", i+1, err)
			}
			for _, w := range s.Writes() {
				want := w.Value
				switch {
				case want == "-1" && strings.HasPrefix(w.File, "memory."):
					want = "9223372036854771712"
				case w.optional && l.Mode == V2:
					continue // without swap in the kernel there is no file
				}
				if got := content(t, p, w.Controller, w.File); got != want {
					t.Errorf("step %d: %s is %q, want %q", i+1, w.File, got, want)
				}
			}
		}
	})
}

func TestUpdatePeriodAloneKeepsTheQuota(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		needs(t, l, "cpu")
		p, m := applied(t, l, cpu(specs.LinuxCPU{Quota: ptr(int64(5000))}))
		if err := m.Update(nil, settings(t, cpu(specs.LinuxCPU{Period: ptr(uint64(20000))}), l.Mode)); err != nil {
			t.Fatal(err)
		}
		want, got := "5000 20000", ""
		if l.Mode == V2 {
			got = content(t, p, "cpu", "cpu.max")
		} else {
			got = content(t, p, "cpu", "cpu.cfs_quota_us") + " " + content(t, p, "cpu", "cpu.cfs_period_us")
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// TestUpdateTakesBack fails at the cpuset, which comes after limits of memory,
// processes and processors.
func TestUpdateTakesBack(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		needs(t, l, "memory", "cpu", "pids", "cpuset")
		before := typical()
		p, m := applied(t, l, before)
		born(t, p, "echo ready; exec sleep 1000")
		read := func() (all string) {
			for _, w := range settings(t, before, l.Mode).Writes() {
				if !w.optional {
					all += w.File + " " + content(t, p, w.Controller, w.File) + "\n"
				}
			}
			return all
		}
		old := read()
		err := m.Update(nil, settings(t, &specs.LinuxResources{
			Memory: &specs.LinuxMemory{Limit: ptr(int64(256 << 20)), Swap: ptr(int64(512 << 20))},
			CPU:    &specs.LinuxCPU{Shares: ptr(uint64(2048)), Quota: ptr(int64(90000)), Cpus: "4095"},
			Pids:   &specs.LinuxPids{Limit: ptr(int64(7))},
		}, l.Mode))
		if err == nil || !strings.Contains(err.Error(), "linux.resources.cpu.cpus") || !strings.Contains(err.Error(), "the earlier values are in force again") {
			t.Errorf("got %v", err)
		}
		if got := read(); got != old {
			t.Errorf("got\n%s\nwant\n%s", got, old)
		}
	})
}

func TestUpdateChecksUse(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		needs(t, l, "memory")
		p, m := applied(t, l, memory(64<<20, 0))
		born(t, p, "x=$(head -c 4000000 /dev/zero | tr '\\0' a); echo ready; while :; do sleep 1000; done")
		r := memory(1<<20, 0)
		r.Memory.CheckBeforeUpdate = ptr(true)
		err := m.Update(nil, settings(t, r, l.Mode))
		if err == nil || !strings.Contains(err.Error(), "linux.resources.memory.limit: 1048576 is not above the") {
			t.Errorf("got %v", err)
		}
		r = memory(60<<20, 0)
		r.Memory.CheckBeforeUpdate = ptr(true)
		if err := m.Update(nil, settings(t, r, l.Mode)); err != nil {
			t.Error(err)
		}
	})
}

// TestUpdateDevices replaces the rules: what is allowed by the new ones alone
// works, which a second program beside the first would not let.
func TestUpdateDevices(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		if l.Mode != V2 {
			needs(t, l, "devices")
		}
		deny := &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{rule(t, "deny a rwm")}}
		allow := &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{rule(t, "deny a rwm"), rule(t, "allow c 1:11 r")}}
		all := &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{rule(t, "allow a rwm")}}
		p, m := applied(t, l, deny)
		old := settings(t, deny, l.Mode)
		for i, c := range []struct {
			r    *specs.LinuxResources
			want string
		}{{deny, "no\n"}, {allow, "yes\n"}, {deny, "no\n"}, {all, "yes\n"}, {deny, "no\n"}} {
			s := settings(t, c.r, l.Mode)
			if err := m.Update(old, s); err != nil {
				t.Fatal(err)
			}
			old = s
			if got := inside(t, p, `if (: </dev/kmsg) 2>/dev/null; then echo >&2 yes; else echo >&2 no; fi`); got != c.want {
				t.Errorf("step %d: got %q, want %q", i, got, c.want)
			}
			if l.Mode == V2 {
				dir, err := os.Open(p.places[0].abs)
				if err != nil {
					t.Fatal(err)
				}
				fds, err := attached(int(dir.Fd()))
				dir.Close()
				for _, fd := range fds {
					unix.Close(fd)
				}
				if err != nil || len(fds) != 1 {
					t.Errorf("step %d: %d programs are attached, %v, want 1", i, len(fds), err)
				}
			}
		}
	})
}

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
	text, err := os.ReadFile("/proc/" + decimal(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	return f[11] + " " + f[12], f[0]
}
