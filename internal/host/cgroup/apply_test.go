package cgroup_test

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/cgroup/resource"
	"github.com/hutch-project/hutch/internal/host/cgroup/stats"
)

// applied makes cgroups with limits and takes them away after the test.
func applied(t *testing.T, l *cgroup.Layout, r *specs.LinuxResources) (*cgroup.Plan, cgroup.Manager) {
	t.Helper()
	p, m := planned(t, l, "/"+unique())
	if err := settings(t, r, l.Mode).Apply(p); err != nil {
		t.Fatal(err)
	}
	return p, m
}

func settings(t testing.TB, r *specs.LinuxResources, mode cgroup.Mode) *resource.Settings {
	t.Helper()
	s, err := resource.New(r, mode)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// content reads a file of the container's cgroup.
func content(t *testing.T, p *cgroup.Plan, controller, name string) string {
	t.Helper()
	at, ok := p.Dir(controller)
	if !ok {
		t.Fatalf("no hierarchy has %s", controller)
	}
	text, err := os.ReadFile(at.Abs + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(text), "\n")
}

// inside runs a shell script in the cgroups and gives its standard error.
func inside(t *testing.T, p *cgroup.Plan, script string) string {
	t.Helper()
	var stderr strings.Builder
	cmd := started(t, p, func(cmd *exec.Cmd) { cmd.Stderr = &stderr }, script)
	_ = cmd.Wait()
	return stderr.String()
}

func TestApplyWritesEachLimit(t *testing.T) {
	sizes := stats.HugeSizes() // other architectures have others, or none
	huge := append(sizes, "2MB")[0]
	type file struct{ controller, v1, wantV1, v2, wantV2 string }
	for _, c := range []struct {
		name  string
		r     *specs.LinuxResources
		files []file
	}{
		{"memory", memory(64<<20, 0), []file{{"memory", "memory.limit_in_bytes", "67108864", "memory.max", "67108864"}}},
		{"memory without limit", memory(-1, 0), []file{{"memory", "memory.limit_in_bytes", "9223372036854771712", "memory.max", "max"}}},
		{"reservation", &specs.LinuxResources{Memory: &specs.LinuxMemory{Reservation: new(int64(32 << 20))}},
			[]file{{"memory", "memory.soft_limit_in_bytes", "33554432", "memory.low", "33554432"}}},
		{"pids", &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(9))}}, []file{{"pids", "pids.max", "9", "pids.max", "9"}}},
		{"cpu", typical(), []file{
			{"cpu", "cpu.shares", "512", "cpu.weight", "59"},
			{"cpu", "cpu.cfs_quota_us", "50000", "cpu.max", "50000 100000"},
			{"cpu", "cpu.cfs_period_us", "100000", "cpu.max", "50000 100000"}}},
		{"period alone", cpu(specs.LinuxCPU{Period: new(uint64(50000))}), []file{{"cpu", "cpu.cfs_period_us", "50000", "cpu.max", "max 50000"}}},
		{"quota alone", cpu(specs.LinuxCPU{Quota: new(int64(5000))}), []file{{"cpu", "cpu.cfs_quota_us", "5000", "cpu.max", "5000 100000"}}},
		{"burst", cpu(specs.LinuxCPU{Quota: new(int64(5000)), Burst: new(uint64(2000))}),
			[]file{{"cpu", "cpu.cfs_burst_us", "2000", "cpu.max.burst", "2000"}}},
		{"idle", cpu(specs.LinuxCPU{Idle: new(int64(1)), Shares: new(uint64(2))}), []file{{"cpu", "cpu.idle", "1", "cpu.idle", "1"}}},
		{"cpuset", cpu(specs.LinuxCPU{Cpus: "0", Mems: "0"}), []file{
			{"cpuset", "cpuset.cpus", "0", "cpuset.cpus", "0"}, {"cpuset", "cpuset.mems", "0", "cpuset.mems", "0"}}},
		{"huge pages", &specs.LinuxResources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: huge, Limit: 4 << 30}}}, []file{
			{"hugetlb", "hugetlb." + huge + ".limit_in_bytes", "4294967296", "hugetlb." + huge + ".max", "4294967296"},
			{"hugetlb", "hugetlb." + huge + ".rsvd.limit_in_bytes", "4294967296", "hugetlb." + huge + ".rsvd.max", "4294967296"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			forEach(t, func(t *testing.T, l *cgroup.Layout) {
				needs(t, l, c.files[0].controller)
				if since := map[string]string{"burst": "5.14", "idle": "5.15"}[c.name]; !kernelHas(since) {
					t.Skipf("needs Linux %s", since)
				}
				if len(sizes) == 0 && c.name == "huge pages" {
					t.Skip("needs huge pages")
				}
				r := *c.r
				if l.Mode == cgroup.V2 && len(c.files) > 1 && c.name == "cpu" {
					needs(t, l, "memory", "pids")
				}
				p, _ := applied(t, l, &r)
				for _, f := range c.files {
					name, want := f.v1, f.wantV1
					if l.Mode == cgroup.V2 {
						name, want = f.v2, f.wantV2
					}
					if got := content(t, p, f.controller, name); got != want {
						t.Errorf("%s is %q, want %q", name, got, want)
					}
				}
			})
		})
	}
}

func TestApplyV1Only(t *testing.T) {
	for _, c := range []struct {
		controller, file, want string // a part of the file
		r                      *specs.LinuxResources
	}{
		{"memory", "memory.memsw.limit_in_bytes", "33554432", memory(16<<20, 32<<20)},
		{"memory", "memory.swappiness", "7", &specs.LinuxResources{Memory: &specs.LinuxMemory{Swappiness: new(uint64(7))}}},
		{"memory", "memory.oom_control", "oom_kill_disable 1", &specs.LinuxResources{Memory: &specs.LinuxMemory{DisableOOMKiller: new(true)}}},
		{"memory", "memory.use_hierarchy", "1", &specs.LinuxResources{Memory: &specs.LinuxMemory{UseHierarchy: new(true)}}},
		{"cpu", "cpu.rt_runtime_us", "1000", cpu(specs.LinuxCPU{RealtimeRuntime: new(int64(1000)), RealtimePeriod: new(uint64(500000))})},
		{"cpu", "cpu.rt_period_us", "500000", cpu(specs.LinuxCPU{RealtimeRuntime: new(int64(1000)), RealtimePeriod: new(uint64(500000))})},
		{"net_cls", "net_cls.classid", "1048577", &specs.LinuxResources{Network: &specs.LinuxNetwork{ClassID: new(uint32(1048577))}}},
		{"net_prio", "net_prio.ifpriomap", "lo 5", &specs.LinuxResources{Network: &specs.LinuxNetwork{Priorities: []specs.LinuxInterfacePriority{{Name: "lo", Priority: 5}}}}},
	} {
		t.Run(c.file, func(t *testing.T) {
			forEach(t, func(t *testing.T, l *cgroup.Layout) {
				if l.Mode == cgroup.V2 {
					t.Skip("needs cgroup v1")
				}
				needs(t, l, c.controller)
				p, _ := planned(t, l, "/"+unique())
				at, _ := p.Dir(c.controller)
				if c.controller == "cpu" && !cgroupfs.Exists(at.Abs+"/"+c.file) {
					t.Skip("needs a kernel with " + c.file)
				}
				if err := settings(t, c.r, l.Mode).Apply(p); err != nil {
					t.Fatal(err)
				}
				if got := content(t, p, c.controller, c.file); !strings.Contains(got, c.want) {
					t.Errorf("%s is %q, want %q in it", c.file, got, c.want)
				}
			})
		})
	}
}

// TestApplyUnified is of v2 alone.
func TestApplyUnified(t *testing.T) {
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		if l.Mode != cgroup.V2 {
			t.Skip("needs cgroup v2")
		}
		p, _ := planned(t, l, "/"+unique())
		if err := settings(t, &specs.LinuxResources{Unified: map[string]string{"cgroup.max.depth": "3"}}, cgroup.V2).Apply(p); err != nil {
			t.Fatal(err)
		}
		if got := content(t, p, "", "cgroup.max.depth"); got != "3" {
			t.Errorf("cgroup.max.depth is %q", got)
		}
		err := settings(t, &specs.LinuxResources{Unified: map[string]string{"nonesuch.max": "3"}}, cgroup.V2).Apply(p)
		if !errors.Is(err, cgroupfs.ErrNoController) || !strings.Contains(err.Error(), "linux.resources.unified[nonesuch.max]") {
			t.Errorf("a controller that there is not: %v", err)
		}
		err = settings(t, &specs.LinuxResources{Unified: map[string]string{"cgroup.nonesuch": "3"}}, cgroup.V2).Apply(p)
		if !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "this kernel has no cgroup.nonesuch") {
			t.Errorf("a file that there is not: %v", err)
		}
	})
}

func TestApplyNamesFieldFileAndValue(t *testing.T) {
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		needs(t, l, "cpuset")
		p, _ := planned(t, l, "/"+unique())
		err := settings(t, cpu(specs.LinuxCPU{Cpus: "4095"}), l.Mode).Apply(p)
		if err == nil {
			t.Fatal("no error")
		}
		for _, want := range []string{"linux.resources.cpu.cpus", `"4095"`, "cpuset.cpus"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: want %q in it", err, want)
			}
		}
	})
}

func TestApplyNeedsTheController(t *testing.T) {
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		if has(t, l, "net_cls") || l.Mode == cgroup.V2 && has(t, l, "memory") {
			t.Skip("needs a host that lacks controllers")
		}
		r := &specs.LinuxResources{Network: &specs.LinuxNetwork{ClassID: new(uint32(1))}}
		if l.Mode == cgroup.V2 {
			r = memory(64<<20, 0)
		}
		p, _ := planned(t, l, "/"+unique())
		if err := settings(t, r, l.Mode).Apply(p); !errors.Is(err, cgroupfs.ErrNoController) {
			t.Errorf("got %v, want ErrNoController", err)
		} else {
			t.Log(err)
		}
	})
}

// TestApplyEnablesDownThePath goes below cgroups that hand on nothing, and then
// below one that cannot, as it has a process.
func TestApplyEnablesDownThePath(t *testing.T) {
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		if l.Mode != cgroup.V2 {
			t.Skip("needs cgroup v2")
		}
		root, err := cgroupfs.ReadLine(unix.AT_FDCWD, l.Root+"/cgroup.controllers")
		if err != nil {
			t.Fatal(err)
		}
		top := "/" + unique()
		p, _ := planned(t, l, top+"/a/b/c")
		if err := settings(t, nil, cgroup.V2).Apply(p); err != nil {
			t.Fatal(err)
		}
		if got := content(t, p, "", "cgroup.controllers"); got != strings.TrimSpace(root) {
			t.Errorf("the container has %q, the root %q", got, strings.TrimSpace(root))
		}
		if !slices.Contains(strings.Fields(root), "memory") {
			return
		}
		busy, _ := planned(t, l, top+"-busy")
		born(t, busy, "echo ready; exec sleep 1000")
		inner, _ := planned(t, l, top+"-busy/inner")
		err = settings(t, memory(64<<20, 0), cgroup.V2).Apply(inner)
		if !errors.Is(err, cgroupfs.ErrNoController) || !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "has processes of its own") {
			t.Errorf("below a cgroup with a process: %v", err)
		}
	})
}

func TestPidsLimitHasEffect(t *testing.T) {
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		needs(t, l, "pids")
		for _, limit := range []int64{0, 1} {
			p, _ := planned(t, l, "/"+unique())
			s := settings(t, &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &limit}}, l.Mode)
			if err := s.Apply(p); err != nil {
				t.Fatal(err)
			}
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			var stderr strings.Builder
			cmd := started(t, p, func(cmd *exec.Cmd) { cmd.Stdin, cmd.Stderr = r, &stderr }, "read line; (:); echo >&2 unreached")
			if err := s.ApplyDeferred(p); err != nil {
				t.Fatal(err)
			}
			if got := content(t, p, "pids", "pids.max"); got != "1" {
				t.Errorf("limit %d: pids.max is %q, want 1", limit, got)
			}
			w.Close()
			r.Close()
			_ = cmd.Wait()
			if got := stderr.String(); !strings.Contains(got, "fork") || strings.Contains(got, "unreached") {
				t.Errorf("limit %d: a shell said %q, want that it cannot fork", limit, got)
			}
		}
	})
}

func TestLittleMemoryIsEnoughToStart(t *testing.T) {
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		needs(t, l, "memory")
		p, _ := applied(t, l, memory(512<<10, 0))
		if got := inside(t, p, "echo >&2 alive"); got != "alive\n" {
			t.Errorf("a shell in 512 KiB said %q", got)
		}
	})
}

// TestDevicesHaveEffect opens /dev/kmsg, 1:11, which no default rule allows.
func TestDevicesHaveEffect(t *testing.T) {
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		if l.Mode != cgroup.V2 {
			needs(t, l, "devices")
		}
		for _, c := range []struct {
			name  string
			rules []specs.LinuxDeviceCgroup
			kmsg  string
		}{
			{"none", nil, "no"},
			{"deny all", []specs.LinuxDeviceCgroup{rule(t, "deny a rwm")}, "no"},
			{"allow", []specs.LinuxDeviceCgroup{rule(t, "deny a rwm"), rule(t, "allow c 1:11 r")}, "yes"},
			{"allow to write", []specs.LinuxDeviceCgroup{rule(t, "deny a rwm"), rule(t, "allow c 1:11 w")}, "no"},
			{"allow all", []specs.LinuxDeviceCgroup{rule(t, "allow a rwm")}, "yes"},
			{"deny one", []specs.LinuxDeviceCgroup{rule(t, "allow a rwm"), rule(t, "deny c 1:11 rw")}, "no"},
		} {
			p, _ := applied(t, l, &specs.LinuxResources{Devices: c.rules})
			got := inside(t, p, `for f in kmsg full; do if (: </dev/$f) 2>/dev/null; then echo >&2 $f yes; else echo >&2 $f no; fi; done`)
			if want := "kmsg " + c.kmsg + "\nfull yes\n"; got != want {
				t.Errorf("%s: got %q, want %q", c.name, got, want)
			}
		}
	})
}
