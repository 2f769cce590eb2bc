package cgroup_test

import (
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/bpf"
	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/cgroup/resource"
)

// withoutSwap reports whether w is for a file of swap that the kernel does not have.
func withoutSwap(p *cgroup.Plan, w *resource.Write) bool {
	at, _ := p.Dir(w.Controller)
	return strings.Contains(w.File, "sw") && !cgroupfs.Exists(at.Abs+"/"+w.File)
}

// TestUpdate goes up and down, with values that have to change in one order or
// the other, while a process runs.
func TestUpdate(t *testing.T) {
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		needs(t, l, "memory", "cpu", "pids")
		make := func(limit, swap, quota int64, period, burst uint64) *specs.LinuxResources {
			r := &specs.LinuxResources{
				Memory: &specs.LinuxMemory{Limit: &limit, Swap: &swap},
				CPU:    &specs.LinuxCPU{Quota: &quota, Period: &period},
				Pids:   &specs.LinuxPids{Limit: new(limit >> 20)},
			}
			if kernelHas("5.14") {
				r.CPU.Burst = &burst
			}
			return r
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
			if err := s.Update(nil, m.Paths()); err != nil {
				t.Fatalf("step %d: %v", i+1, err)
			}
			for _, w := range s.Writes() {
				want := w.Value
				switch {
				case want == "-1" && strings.HasPrefix(w.File, "memory."):
					want = "9223372036854771712"
				case withoutSwap(p, &w):
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
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		needs(t, l, "cpu")
		p, m := applied(t, l, cpu(specs.LinuxCPU{Quota: new(int64(5000))}))
		if err := settings(t, cpu(specs.LinuxCPU{Period: new(uint64(20000))}), l.Mode).Update(nil, m.Paths()); err != nil {
			t.Fatal(err)
		}
		want, got := "5000 20000", ""
		if l.Mode == cgroup.V2 {
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
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		needs(t, l, "memory", "cpu", "pids", "cpuset")
		before := typical()
		p, m := applied(t, l, before)
		born(t, p, "echo ready; exec sleep 1000")
		read := func() (all string) {
			for _, w := range settings(t, before, l.Mode).Writes() {
				if !withoutSwap(p, &w) {
					all += w.File + " " + content(t, p, w.Controller, w.File) + "\n"
				}
			}
			return all
		}
		old := read()
		err := settings(t, &specs.LinuxResources{
			Memory: &specs.LinuxMemory{Limit: new(int64(256 << 20)), Swap: new(int64(512 << 20))},
			CPU:    &specs.LinuxCPU{Shares: new(uint64(2048)), Quota: new(int64(90000)), Cpus: "4095"},
			Pids:   &specs.LinuxPids{Limit: new(int64(7))},
		}, l.Mode).Update(nil, m.Paths())
		if err == nil || !strings.Contains(err.Error(), "linux.resources.cpu.cpus") || !strings.Contains(err.Error(), "the earlier values are in force again") {
			t.Errorf("got %v", err)
		}
		if got := read(); got != old {
			t.Errorf("got\n%s\nwant\n%s", got, old)
		}
	})
}

func TestUpdateChecksUse(t *testing.T) {
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		needs(t, l, "memory")
		p, m := applied(t, l, memory(64<<20, 0))
		born(t, p, "x=$(head -c 4000000 /dev/zero | tr '\\0' a); echo ready; while :; do sleep 1000; done")
		r := memory(1<<20, 0)
		r.Memory.CheckBeforeUpdate = new(true)
		err := settings(t, r, l.Mode).Update(nil, m.Paths())
		if err == nil || !strings.Contains(err.Error(), "linux.resources.memory.limit: 1048576 is not above the") {
			t.Errorf("got %v", err)
		}
		r = memory(60<<20, 0)
		r.Memory.CheckBeforeUpdate = new(true)
		if err := settings(t, r, l.Mode).Update(nil, m.Paths()); err != nil {
			t.Error(err)
		}
	})
}

// TestUpdateDevices replaces the rules: what is allowed by the new ones alone
// works, which a second program beside the first would not let.
func TestUpdateDevices(t *testing.T) {
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		if l.Mode != cgroup.V2 {
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
			if err := s.Update(old, m.Paths()); err != nil {
				t.Fatal(err)
			}
			old = s
			if got := inside(t, p, `if (: </dev/kmsg) 2>/dev/null; then echo >&2 yes; else echo >&2 no; fi`); got != c.want {
				t.Errorf("step %d: got %q, want %q", i, got, c.want)
			}
			if l.Mode == cgroup.V2 {
				dir, err := os.Open(first(p).Abs)
				if err != nil {
					t.Fatal(err)
				}
				ids, err := bpf.AttachedDevice(int(dir.Fd()))
				dir.Close()
				if err != nil || len(ids) != 1 {
					t.Errorf("step %d: %d programs are attached, %v, want 1", i, len(ids), err)
				}
			}
		}
	})
}
