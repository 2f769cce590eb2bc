package cgroup_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/probe"
)

var (
	forEach = cgroup.ForEach
	roots   = cgroup.Roots
	planned = cgroup.Planned
	born    = cgroup.Born
	started = cgroup.Started
	unique  = cgroup.Unique
	needs   = cgroup.Needs
	has     = cgroup.Has
)

// first returns the container's directory on v2.
func first(p *cgroup.Plan) cgroupfs.Dir {
	dir, _ := p.Dir("")
	return dir
}

func ptr[T any](v T) *T { return &v }

func memory(limit, swap int64) *specs.LinuxResources {
	m := &specs.LinuxMemory{}
	if limit != 0 {
		m.Limit = &limit
	}
	if swap != 0 {
		m.Swap = &swap
	}
	return &specs.LinuxResources{Memory: m}
}

func cpu(c specs.LinuxCPU) *specs.LinuxResources { return &specs.LinuxResources{CPU: &c} }

func rate(major, minor int64, n uint64) specs.LinuxThrottleDevice {
	d := specs.LinuxThrottleDevice{Rate: n}
	d.Major, d.Minor = major, minor
	return d
}

// typical is what an engine sends for a container with limits.
func typical() *specs.LinuxResources {
	return &specs.LinuxResources{
		Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}},
		Memory:  &specs.LinuxMemory{Limit: ptr(int64(64 << 20)), Swap: ptr(int64(64 << 20))},
		CPU:     &specs.LinuxCPU{Shares: ptr(uint64(512)), Quota: ptr(int64(50000)), Period: ptr(uint64(100000))},
		Pids:    &specs.LinuxPids{Limit: ptr(int64(100))},
	}
}

// rule reads "allow c 1:3 rw"; "a" alone has no numbers.
func rule(t testing.TB, text string) specs.LinuxDeviceCgroup {
	t.Helper()
	f := strings.Fields(text)
	d := specs.LinuxDeviceCgroup{Allow: f[0] == "allow", Type: f[1], Access: f[len(f)-1]}
	if len(f) == 4 {
		for i, s := range strings.Split(f[2], ":") {
			if s == "*" {
				continue
			}
			var n int64
			if _, err := fmt.Sscan(s, &n); err != nil {
				t.Fatal(text, err)
			}
			*[...]**int64{&d.Major, &d.Minor}[i] = &n
		}
	}
	return d
}

// kernelHas reports whether the kernel is of a version, as 5.14, or a later one.
func kernelHas(version string) bool {
	var u unix.Utsname
	return unix.Uname(&u) == nil && probe.ParseKernel(unix.ByteSliceToString(u.Release[:])).Has(version)
}
