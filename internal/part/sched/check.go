package sched

import (
	"math"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/cpulist"
	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/fault"
)

// Check checks process.scheduler by the rules of sched_setattr, whose
// errors do not tell which of the values is wrong.
//
// Source: sched(7), sched_setattr(2); the kernel's __checkparam_dl.
func Check(proc *check.Process) error {
	const name = "process.scheduler"
	s := proc.Scheduler
	if s == nil {
		return nil
	}
	fixed := s.Policy == specs.SchedFIFO || s.Policy == specs.SchedRR
	deadline := s.Policy == specs.SchedDeadline
	if enum.SchedPolicies.Find(string(s.Policy)) == nil {
		return check.Unknown(name+".policy", string(s.Policy), enum.SchedPolicies.Or(), enum.SchedPolicies.Names()...)
	}
	for i, f := range s.Flags {
		if enum.SchedFlags.Find(string(f)) == nil {
			proc.Add(check.Unknown(fault.At(name+".flags", i), string(f), "a name of sched_setattr(2), as SCHED_FLAG_RESET_ON_FORK", enum.SchedFlags.Names()...))
		}
	}
	if s.Nice < -20 || s.Nice > 19 {
		proc.Add(fault.New(name+".nice", check.Number(s.Nice)+" is out of range", "give a number from -20 to 19"))
	}
	switch {
	case s.Priority != 0 && !fixed:
		proc.Add(fault.New(name+".priority", "is only for SCHED_FIFO and SCHED_RR, not for "+string(s.Policy), "remove it"))
	case fixed && (s.Priority < 1 || s.Priority > 99):
		proc.Add(fault.New(name+".priority", check.Number(s.Priority)+" is out of range for "+string(s.Policy), "give a number from 1 to 99"))
	}
	switch {
	case !deadline && (s.Runtime != 0 || s.Deadline != 0 || s.Period != 0):
		return fault.New(name, "runtime, deadline and period are only for SCHED_DEADLINE, not for "+string(s.Policy), "remove them")
	case !deadline:
		return nil
	case s.Runtime < 1024: // less is no bandwidth: the kernel's DL_SCALE
		return fault.New(name+".runtime", "below 1024 nanoseconds", "SCHED_DEADLINE needs runtime <= deadline <= period")
	case s.Deadline < s.Runtime:
		return fault.New(name+".deadline", "shorter than runtime", "SCHED_DEADLINE needs runtime <= deadline <= period")
	case s.Period != 0 && s.Period < s.Deadline:
		return fault.New(name+".period", "shorter than deadline", "SCHED_DEADLINE needs runtime <= deadline <= period")
	// The highest bit is for the wrap-around of its clock.
	case s.Deadline > math.MaxInt64 || s.Period > math.MaxInt64:
		return fault.New(name, "deadline or period is above 9223372036854775807 nanoseconds", "")
	}
	return nil
}

// CheckIO checks process.ioPriority.
func CheckIO(p *check.Process) error {
	if prio := p.IOPriority; prio != nil {
		if enum.IOClasses.Find(string(prio.Class)) == nil {
			p.Add(check.Unknown("process.ioPriority.class", string(prio.Class), enum.IOClasses.Or(), enum.IOClasses.Names()...))
		}
		if prio.Priority < 0 || prio.Priority > 7 {
			return fault.New("process.ioPriority.priority", check.Number(prio.Priority)+" is out of range", "give a number from 0, the highest, to 7")
		}
	}
	return nil
}

// CheckAffinity checks process.execCPUAffinity.
func CheckAffinity(p *check.Process) error {
	if a := p.ExecCPUAffinity; a != nil {
		p.Add(check.List("process.execCPUAffinity.initial", a.Initial, cpulist.MaxCPU))
		return check.List("process.execCPUAffinity.final", a.Final, cpulist.MaxCPU)
	}
	return nil
}

// CheckMemoryPolicy checks linux.memoryPolicy by the rules of set_mempolicy, which
// has one error for all faults.
//
// Source: set_mempolicy(2).
func CheckMemoryPolicy(conf *check.Config) error {
	const name = "linux.memoryPolicy"
	p := conf.Linux.MemoryPolicy
	if p == nil {
		return nil
	}
	conf.Add(check.List(name+".nodes", p.Nodes, cpulist.MaxNode))
	if enum.MemoryModes.Find(string(p.Mode)) == nil {
		return check.Unknown(name+".mode", string(p.Mode), "a mode of set_mempolicy(2), as MPOL_INTERLEAVE", enum.MemoryModes.Names()...)
	}
	switch p.Mode {
	case specs.MpolDefault, specs.MpolLocal:
		if p.Nodes != "" {
			return fault.New(name+".nodes", string(p.Mode)+" takes no nodes", "remove them")
		}
	case specs.MpolBind, specs.MpolInterleave, specs.MpolWeightedInterleave, specs.MpolPreferredMany:
		if p.Nodes == "" {
			return fault.New(name+".nodes", "missing", string(p.Mode)+" needs at least one")
		}
	}
	for i, f := range p.Flags {
		if enum.MemoryFlags.Find(string(f)) == nil {
			conf.Add(check.Unknown(fault.At(name+".flags", i), string(f), enum.MemoryFlags.Or(), enum.MemoryFlags.Names()...))
		}
	}
	if slices.Contains(p.Flags, specs.MpolFRelativeNodes) && slices.Contains(p.Flags, specs.MpolFStaticNodes) {
		return fault.New(name+".flags", "MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES exclude each other", "remove one")
	}
	return nil
}
