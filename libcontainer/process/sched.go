package process

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

// affinityBytes is the length of the mask that stands for all processors: the
// kernel takes what it has of it.
const affinityBytes = 8192 / 8

// ResetAffinity emits the permission to run on all processors of the cgroup, so
// that an engine that is pinned does not pin its containers.
func ResetAffinity(b *program.Builder) {
	b.Element(program.T("process"))
	b.Doing(program.T("run on all processors"))
	mask := make([]byte, affinityBytes)
	for i := range mask {
		mask[i] = 0xff
	}
	b.Sys(unix.SYS_SCHED_SETAFFINITY, program.Imm(0), program.Imm(len(mask)), b.Bytes(mask).Arg()).Ignore()
}

// Scheduler emits process.scheduler.
//
// Source: sched_setattr(2).
func Scheduler(b *program.Builder, p *specs.Process) {
	s := p.Scheduler
	if s == nil {
		return
	}
	policies := [...]struct {
		name specs.LinuxSchedulerPolicy
		nr   uint32
	}{{specs.SchedOther, 0}, {specs.SchedFIFO, 1}, {specs.SchedRR, 2}, {specs.SchedBatch, 3}, {specs.SchedISO, 4}, {specs.SchedIdle, 5}, {specs.SchedDeadline, 6}}
	b.Element(program.T("process.scheduler"))
	b.Doing(program.T("set policy %s", string(s.Policy)))
	a := unix.SchedAttr{Size: unix.SizeofSchedAttr, Nice: s.Nice, Priority: uint32(s.Priority), Runtime: s.Runtime, Deadline: s.Deadline, Period: s.Period}
	for _, e := range policies {
		if e.name == s.Policy {
			a.Policy = e.nr
		}
	}
	flags := [...]struct {
		name specs.LinuxSchedulerFlag
		bit  uint64
	}{
		{specs.SchedFlagResetOnFork, 1}, {specs.SchedFlagReclaim, 2}, {specs.SchedFlagDLOverrun, 4}, {specs.SchedFlagKeepPolicy, 8},
		{specs.SchedFlagKeepParams, 16}, {specs.SchedFlagUtilClampMin, 32}, {specs.SchedFlagUtilClampMax, 64},
	}
	for _, f := range s.Flags {
		for _, e := range flags {
			if e.name == f {
				a.Flags |= e.bit
			}
		}
	}
	b.Sys(unix.SYS_SCHED_SETATTR, program.Imm(0), program.Struct(b, &a).Arg(), program.Imm(0))
}

// IOPriority emits process.ioPriority.
//
// Source: ioprio_set(2).
func IOPriority(b *program.Builder, p *specs.Process) {
	if p.IOPriority == nil {
		return
	}
	const whoProcess, classShift = 1, 13
	class := map[specs.IOPriorityClass]int{specs.IOPRIO_CLASS_RT: 1, specs.IOPRIO_CLASS_BE: 2, specs.IOPRIO_CLASS_IDLE: 3}[p.IOPriority.Class]
	b.Element(program.T("process.ioPriority"))
	b.Doing(program.T("set class %s", string(p.IOPriority.Class)))
	b.Sys(unix.SYS_IOPRIO_SET, program.Imm(whoProcess), program.Imm(0), program.Imm(class<<classShift|p.IOPriority.Priority))
}

// Personality emits linux.personality.
//
// Source: personality(2).
func Personality(b *program.Builder, l *specs.Linux) {
	if l.Personality == nil {
		return
	}
	const perLinux32 = 8
	v := 0
	if l.Personality.Domain == specs.PerLinux32 {
		v = perLinux32
	}
	b.Element(program.T("linux.personality"))
	b.Doing(program.T("set domain %s", string(l.Personality.Domain)))
	b.Sys(unix.SYS_PERSONALITY, program.Imm(v))
}

// MemoryPolicy emits linux.memoryPolicy.
//
// Source: set_mempolicy(2).
func MemoryPolicy(b *program.Builder, l *specs.Linux) {
	m := l.MemoryPolicy
	if m == nil {
		return
	}
	b.Element(program.T("linux.memoryPolicy"))
	b.Doing(program.T("set mode %s, nodes %s", string(m.Mode), m.Nodes))
	mode := map[specs.MemoryPolicyModeType]int{
		specs.MpolDefault: 0, specs.MpolPreferred: 1, specs.MpolBind: 2, specs.MpolInterleave: 3, specs.MpolLocal: 4,
		specs.MpolPreferredMany: 5, specs.MpolWeightedInterleave: 6,
	}[m.Mode]
	for _, f := range m.Flags {
		mode |= map[specs.MemoryPolicyFlagType]int{specs.MpolFNumaBalancing: 1 << 13, specs.MpolFRelativeNodes: 1 << 14, specs.MpolFStaticNodes: 1 << 15}[f]
	}
	mask, err := ParseList(m.Nodes, 1024)
	if err != nil {
		b.Fault(fmt.Errorf("nodes: %w", err))
		return
	}
	if m.Nodes == "" {
		b.Sys(unix.SYS_SET_MEMPOLICY, program.Imm(mode), program.Imm(0), program.Imm(0))
		return
	}
	b.Sys(unix.SYS_SET_MEMPOLICY, program.Imm(mode), b.Bytes(mask).Arg(), program.Imm(len(mask)*8+1))
}

// ParseList parses a list of numbers and ranges as 0-3,7 into a little-endian
// bit mask of limit bits.
//
// Source: cpuset(7), "List format".
func ParseList(s string, limit int) ([]byte, error) {
	mask := make([]byte, limit/8)
	if s == "" {
		return mask, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		lo, hi, isRange := strings.Cut(strings.TrimSpace(part), "-")
		first, err := strconv.ParseUint(lo, 10, 16)
		last := first
		if err == nil && isRange {
			last, err = strconv.ParseUint(hi, 10, 16)
		}
		if err != nil || last < first || int(last) >= limit {
			return nil, fmt.Errorf("%q in %q is no number or range from 0 to %d", part, s, limit-1)
		}
		for ; first <= last; first++ {
			mask[first/8] |= 1 << (first % 8)
		}
	}
	return mask, nil
}
