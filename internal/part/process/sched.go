package process

import (
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

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
	policy, ok := schedPolicy(s.Policy)
	if !ok {
		b.Fault(fmt.Errorf("%q is no policy of Linux", s.Policy))
	}
	a := unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: policy, Nice: s.Nice, Priority: uint32(s.Priority),
		Runtime: s.Runtime, Deadline: s.Deadline, Period: s.Period,
	}
	for _, f := range s.Flags {
		bit, ok := schedFlag(f)
		if !ok {
			b.Fault(fmt.Errorf("%q is no flag of Linux", f))
		}
		a.Flags |= bit
	}
	call.SchedSetattr(b, &a)
}

func schedPolicy(p specs.LinuxSchedulerPolicy) (uint32, bool) {
	switch p {
	case specs.SchedOther:
		return unix.SCHED_NORMAL, true
	case specs.SchedFIFO:
		return unix.SCHED_FIFO, true
	case specs.SchedRR:
		return unix.SCHED_RR, true
	case specs.SchedBatch:
		return unix.SCHED_BATCH, true
	case specs.SchedISO:
		return 4, true // SCHED_ISO, which Linux keeps a number for and has not
	case specs.SchedIdle:
		return unix.SCHED_IDLE, true
	case specs.SchedDeadline:
		return unix.SCHED_DEADLINE, true
	}
	return 0, false
}

func schedFlag(f specs.LinuxSchedulerFlag) (uint64, bool) {
	switch f {
	case specs.SchedFlagResetOnFork:
		return unix.SCHED_FLAG_RESET_ON_FORK, true
	case specs.SchedFlagReclaim:
		return unix.SCHED_FLAG_RECLAIM, true
	case specs.SchedFlagDLOverrun:
		return unix.SCHED_FLAG_DL_OVERRUN, true
	case specs.SchedFlagKeepPolicy:
		return unix.SCHED_FLAG_KEEP_POLICY, true
	case specs.SchedFlagKeepParams:
		return unix.SCHED_FLAG_KEEP_PARAMS, true
	case specs.SchedFlagUtilClampMin:
		return unix.SCHED_FLAG_UTIL_CLAMP_MIN, true
	case specs.SchedFlagUtilClampMax:
		return unix.SCHED_FLAG_UTIL_CLAMP_MAX, true
	}
	return 0, false
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
	class := 0
	switch p.IOPriority.Class {
	case specs.IOPRIO_CLASS_RT:
		class = 1
	case specs.IOPRIO_CLASS_BE:
		class = 2
	case specs.IOPRIO_CLASS_IDLE:
		class = 3
	default:
		b.Fault(fmt.Errorf("%q is no class of Linux", p.IOPriority.Class))
	}
	call.IoprioSet(b, class<<classShift|p.IOPriority.Priority)
}

// Personality emits linux.personality.
//
// Source: personality(2).
func Personality(b *program.Builder, l *specs.Linux) {
	if l.Personality == nil {
		return
	}
	const perLinux, perLinux32 = 0, 8
	b = b.Element(program.T("linux.personality")).Doing(program.T("set domain %s", string(l.Personality.Domain)))
	v := uint64(perLinux)
	switch l.Personality.Domain {
	case specs.PerLinux:
	case specs.PerLinux32:
		v = perLinux32
	default:
		b.Fault(fmt.Errorf("%q is no domain; use LINUX or LINUX32", l.Personality.Domain))
	}
	call.Personality(b, v)
}
