package cgroup_test

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/probe"
	"github.com/hutch-project/hutch/tests/cgrouptest"
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

	memory = cgrouptest.Memory
	cpu    = cgrouptest.CPU
	rate   = cgrouptest.Rate
	rule   = cgrouptest.Rule
)

// first returns the container's directory on v2.
func first(p *cgroup.Plan) cgroupfs.Dir {
	dir, _ := p.Dir("")
	return dir
}

// typical is what an engine sends for a container with limits.
func typical() *specs.LinuxResources {
	return &specs.LinuxResources{
		Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}},
		Memory:  &specs.LinuxMemory{Limit: new(int64(64 << 20)), Swap: new(int64(64 << 20))},
		CPU:     &specs.LinuxCPU{Shares: new(uint64(512)), Quota: new(int64(50000)), Period: new(uint64(100000))},
		Pids:    &specs.LinuxPids{Limit: new(int64(100))},
	}
}

// kernelHas reports whether the kernel is of a version, as 5.14, or a later one.
func kernelHas(version string) bool {
	var u unix.Utsname
	return unix.Uname(&u) == nil && probe.ParseKernel(unix.ByteSliceToString(u.Release[:])).Has(version)
}
