package validate

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// memoryPolicy checks linux.memoryPolicy by the rules of set_mempolicy, which
// has one error for all faults.
//
// Source: set_mempolicy(2).
func (c *checker) memoryPolicy() error {
	const name = "linux.memoryPolicy"
	p := c.linux.MemoryPolicy
	if p == nil {
		return nil
	}
	if err := list(name+".nodes", p.Nodes, maxNode); err != nil {
		return err
	}
	switch p.Mode {
	case specs.MpolDefault, specs.MpolLocal:
		if p.Nodes != "" {
			return fault(name+".nodes", string(p.Mode)+" takes no nodes", "remove them")
		}
	case specs.MpolBind, specs.MpolInterleave, specs.MpolWeightedInterleave, specs.MpolPreferredMany:
		if p.Nodes == "" {
			return fault(name+".nodes", "missing", string(p.Mode)+" needs at least one")
		}
	case specs.MpolPreferred:
	default:
		return unknown(name+".mode", string(p.Mode), "a mode of set_mempolicy(2), as MPOL_INTERLEAVE")
	}
	for i, f := range p.Flags {
		switch f {
		case specs.MpolFNumaBalancing, specs.MpolFRelativeNodes, specs.MpolFStaticNodes:
		default:
			return unknown(at(name+".flags", i), string(f), "MPOL_F_NUMA_BALANCING, MPOL_F_RELATIVE_NODES or MPOL_F_STATIC_NODES")
		}
	}
	if slices.Contains(p.Flags, specs.MpolFRelativeNodes) && slices.Contains(p.Flags, specs.MpolFStaticNodes) {
		return fault(name+".flags", "MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES exclude each other", "remove one")
	}
	return nil
}

// personality checks linux.personality: "Currently no flag values are
// supported."
//
// Source: runtime-spec config-linux.md "Personality".
func (c *checker) personality() error {
	p := c.linux.Personality
	if p == nil {
		return nil
	}
	if p.Domain != specs.PerLinux && p.Domain != specs.PerLinux32 {
		return unknown("linux.personality.domain", string(p.Domain), "LINUX or LINUX32")
	}
	if len(p.Flags) > 0 {
		return fault("linux.personality.flags", "the specification has no flags", "remove them")
	}
	return nil
}
