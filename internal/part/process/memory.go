package process

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// maxNodes is how many NUMA nodes a mask is for, the most that Linux can have.
const maxNodes = 1024

// MemoryPolicy emits linux.memoryPolicy.
//
// Source: set_mempolicy(2); linux/mempolicy.h.
func MemoryPolicy(b *program.Builder, l *specs.Linux) {
	m := l.MemoryPolicy
	if m == nil {
		return
	}
	b = b.Element(program.T("linux.memoryPolicy")).Doing(program.T("set mode %s, nodes %q", string(m.Mode), m.Nodes))
	mode, ok := memoryMode(m.Mode)
	if !ok {
		b.Fault(fmt.Errorf("%q is no mode of Linux", m.Mode))
	}
	for _, f := range m.Flags {
		bit, ok := memoryFlag(f)
		if !ok {
			b.Fault(fmt.Errorf("%q is no flag of Linux", f))
		}
		mode |= bit
	}
	if m.Nodes == "" {
		call.SetMempolicy(b, uint64(mode), nil, 0)
		return
	}
	mask, err := ParseList(m.Nodes, maxNodes)
	if err != nil {
		b.Fault(fmt.Errorf("nodes: %w", err))
		return
	}
	// The kernel takes one bit less than it is told.
	call.SetMempolicy(b, uint64(mode), mask, maxNodes+1)
}

func memoryMode(m specs.MemoryPolicyModeType) (int, bool) {
	for i, name := range [...]specs.MemoryPolicyModeType{
		specs.MpolDefault, specs.MpolPreferred, specs.MpolBind, specs.MpolInterleave, specs.MpolLocal,
		specs.MpolPreferredMany, specs.MpolWeightedInterleave,
	} {
		if name == m {
			return i, true
		}
	}
	return 0, false
}

func memoryFlag(f specs.MemoryPolicyFlagType) (int, bool) {
	switch f {
	case specs.MpolFNumaBalancing:
		return 1 << 13, true
	case specs.MpolFRelativeNodes:
		return 1 << 14, true
	case specs.MpolFStaticNodes:
		return 1 << 15, true
	}
	return 0, false
}
