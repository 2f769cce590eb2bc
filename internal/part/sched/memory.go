package sched

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/cpulist"
	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// nodes is the number of bits of a mask of NUMA nodes.
const nodes = cpulist.MaxNode + 1

// MemoryPolicy emits linux.memoryPolicy.
//
// Source: set_mempolicy(2); linux/mempolicy.h.
func MemoryPolicy(b *program.Builder, m *specs.LinuxMemoryPolicy) {
	if m == nil {
		return
	}
	b = b.Element(program.T("linux.memoryPolicy")).Doing(program.T("set mode %s, nodes %q", string(m.Mode), m.Nodes))
	mode := number(b, enum.MemoryModes, string(m.Mode))
	for _, f := range m.Flags {
		mode |= number(b, enum.MemoryFlags, string(f))
	}
	if m.Nodes == "" {
		call.SetMempolicy(b, mode, nil, 0)
		return
	}
	ranges, err := cpulist.Parse(m.Nodes, cpulist.MaxNode)
	if err != nil {
		b.Fault(fmt.Errorf("nodes: %q %w", m.Nodes, err))
		return
	}
	// The kernel takes one bit less than it is told.
	call.SetMempolicy(b, mode, cpulist.Mask(ranges, nodes/8), nodes+1)
}
