package validate

import (
	"math"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/enum"
)

// scheduler checks process.scheduler by the rules of sched_setattr, whose
// errors do not tell which of the values is wrong.
//
// Source: sched(7), sched_setattr(2); the kernel's __checkparam_dl.
func scheduler(p *specs.Process) error {
	const name = "process.scheduler"
	s := p.Scheduler
	if s == nil {
		return nil
	}
	fixed := s.Policy == specs.SchedFIFO || s.Policy == specs.SchedRR
	deadline := s.Policy == specs.SchedDeadline
	if enum.SchedPolicies.Find(string(s.Policy)) == nil {
		return unknown(name+".policy", string(s.Policy), enum.SchedPolicies.Or())
	}
	for i, f := range s.Flags {
		if enum.SchedFlags.Find(string(f)) == nil {
			return unknown(at(name+".flags", i), string(f), "a name of sched_setattr(2), as SCHED_FLAG_RESET_ON_FORK")
		}
	}
	switch {
	case s.Nice < -20 || s.Nice > 19:
		return fault(name+".nice", number(s.Nice)+" is out of range", "give a number from -20 to 19")
	case s.Priority != 0 && !fixed:
		return fault(name+".priority", "is only for SCHED_FIFO and SCHED_RR, not for "+string(s.Policy), "remove it")
	case fixed && (s.Priority < 1 || s.Priority > 99):
		return fault(name+".priority", number(s.Priority)+" is out of range for "+string(s.Policy), "give a number from 1 to 99")
	case !deadline && (s.Runtime != 0 || s.Deadline != 0 || s.Period != 0):
		return fault(name, "runtime, deadline and period are only for SCHED_DEADLINE, not for "+string(s.Policy), "remove them")
	case !deadline:
		return nil
	case s.Runtime < 1024:
		return fault(name+".runtime", "below 1024 nanoseconds", "SCHED_DEADLINE needs runtime <= deadline <= period")
	case s.Deadline < s.Runtime:
		return fault(name+".deadline", "shorter than runtime", "SCHED_DEADLINE needs runtime <= deadline <= period")
	case s.Period != 0 && s.Period < s.Deadline:
		return fault(name+".period", "shorter than deadline", "SCHED_DEADLINE needs runtime <= deadline <= period")
	case s.Deadline > math.MaxInt64 || s.Period > math.MaxInt64:
		return fault(name, "deadline or period is above 9223372036854775807 nanoseconds", "")
	}
	return nil
}
