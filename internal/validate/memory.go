package validate

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/enum"
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
	if enum.MemoryModes.Find(string(p.Mode)) == nil {
		return unknown(name+".mode", string(p.Mode), "a mode of set_mempolicy(2), as MPOL_INTERLEAVE")
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
	}
	for i, f := range p.Flags {
		if enum.MemoryFlags.Find(string(f)) == nil {
			return unknown(at(name+".flags", i), string(f), enum.MemoryFlags.Or())
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
	if enum.Domains.Find(string(p.Domain)) == nil {
		return unknown("linux.personality.domain", string(p.Domain), enum.Domains.Or())
	}
	if len(p.Flags) > 0 {
		return fault("linux.personality.flags", "the specification has no flags", "remove them")
	}
	return nil
}
