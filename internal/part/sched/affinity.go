package sched

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/cpulist"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// cpuMask is the size of a mask of processors, in bytes.
const cpuMask = (cpulist.MaxCPU + 1) / 8

// ResetAffinity emits the permission to run on all processors of the cgroup, so
// that an engine that is pinned does not pin its containers.
//
// Source: sched_setaffinity(2).
func ResetAffinity(b *program.Builder) {
	b = b.Element(program.T("process")).Doing(program.T("run on all processors"))
	mask := make([]byte, cpuMask)
	for i := range mask {
		mask[i] = 0xff
	}
	affinity(b, mask).Ignore() // a host may forbid it: the process runs where its caller did
}

// InitialAffinity emits process.execCPUAffinity.initial, for a process that is
// added to a container, before it is in the container's cgroup. Without the
// property it emits nothing.
//
// Source: runtime-spec config.md "Linux Process".
func InitialAffinity(b *program.Builder, p *specs.Process) {
	if p.ExecCPUAffinity != nil {
		pin(b, "initial", p.ExecCPUAffinity.Initial)
	}
}

// FinalAffinity emits process.execCPUAffinity.final, once the process is in the
// container's cgroup. "If omitted or empty, runtime SHOULD NOT change process' CPU
// affinity": it reports whether it emitted the mask.
func FinalAffinity(b *program.Builder, p *specs.Process) bool {
	return p.ExecCPUAffinity != nil && pin(b, "final", p.ExecCPUAffinity.Final)
}

func pin(b *program.Builder, property, list string) bool {
	if list == "" {
		return false
	}
	b = b.Element(program.T("process.execCPUAffinity.%s", property)).Doing(program.T("run on the processors %s", list))
	ranges, err := cpulist.Parse(list, cpulist.MaxCPU)
	if err != nil {
		b.Fault(fmt.Errorf("%q %w", list, err))
		return false
	}
	affinity(b, cpulist.Mask(ranges, cpuMask))
	return true
}

func affinity(b *program.Builder, mask []byte) program.Call {
	return call.SchedSetaffinity(b, mask)
}
