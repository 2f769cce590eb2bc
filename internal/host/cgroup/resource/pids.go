package resource

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/cgroupconv"
)

// pids emits pids.max. A limit of 0 is written as 1: the container's own process
// is born inside and counts, where the kernel does not count a process that is
// moved in. Either way the process runs and cannot fork.
//
// Source: runtime-spec config-linux.md "PIDs"; cgroup-v2.rst "PID Interface Files".
func (b *builder) pids(p *specs.LinuxPids) {
	if p == nil || p.Limit == nil {
		return
	}
	text := "max"
	switch n := *p.Limit; {
	case n < cgroupconv.Unlimited:
		b.failf("%s.pids.limit: %d is not a number of processes; give -1 for no limit", resources, n)
	case n >= 0:
		text = decimal(max(n, 1))
	}
	w := b.add("pids.limit", "pids", "pids.max", text)
	if text == "1" && !b.unified {
		w.early = "2" // one that clones the container's process there is a member too until it ends
	}
}
