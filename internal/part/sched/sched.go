package sched

import (
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// LastScheduler reports whether process.scheduler would not be handed on to a process
// that is cloned after it, so that it has to be set in that one. It needs CAP_SYS_NICE.
//
// Source: sched(7), "SCHED_DEADLINE", "Resetting scheduling policy for child processes".
func LastScheduler(p *specs.Process) bool {
	s := p.Scheduler
	return s != nil && (s.Policy == specs.SchedDeadline || slices.Contains(s.Flags, specs.SchedFlagResetOnFork))
}

// Scheduler emits process.scheduler.
//
// Source: sched_setattr(2); linux/sched.h.
func Scheduler(b *program.Builder, p *specs.Process) {
	s := p.Scheduler
	if s == nil {
		return
	}
	b = b.Element(program.T("process.scheduler")).Doing(program.T("set policy %s", string(s.Policy)))
	attr := unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: uint32(number(b, enum.SchedPolicies, string(s.Policy))),
		Nice: s.Nice, Priority: uint32(s.Priority), Runtime: s.Runtime, Deadline: s.Deadline, Period: s.Period,
	}
	for _, f := range s.Flags {
		attr.Flags |= number(b, enum.SchedFlags, string(f))
	}
	call.SchedSetattr(b, &attr)
}

// number returns the kernel's number for a word of config.json that has been checked.
func number(b *program.Builder, table enum.Table, word string) uint64 {
	row := table.Find(word)
	if row == nil {
		b.Fault(fmt.Errorf("%q is not known; use %s", word, table.Or()))
		return 0
	}
	return row.Number
}

// IOPriority emits process.ioPriority, for the process itself.
//
// Source: ioprio_set(2).
func IOPriority(b *program.Builder, p *specs.Process) {
	if p.IOPriority == nil {
		return
	}
	const classShift = 13
	b = b.Element(program.T("process.ioPriority")).Doing(program.T("set class %s", string(p.IOPriority.Class)))
	class := int(number(b, enum.IOClasses, string(p.IOPriority.Class)))
	call.IoprioSet(b, class<<classShift|p.IOPriority.Priority)
}
