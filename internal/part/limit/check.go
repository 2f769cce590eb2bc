package limit

import (
	"strconv"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/nearest"
)

// Check checks process.rlimits: "If rlimits contains duplicated entries with same type, the
// runtime MUST generate an error."
func Check(proc *check.Process) error {
	var seen uint32
	for i, r := range proc.Rlimits {
		resource := enum.Rlimits.Find(r.Type)
		if resource == nil {
			proc.Add(fault.New(fault.At("process.rlimits", i)+".type", fault.Quote(r.Type)+" is no resource limit of Linux",
				nearest.Or(r.Type, enum.Rlimits.Names(), "see getrlimit(2), for example RLIMIT_NOFILE")))
			continue
		}
		if seen&(1<<resource.Number) != 0 {
			proc.Add(fault.New(fault.At("process.rlimits", i)+".type", r.Type+" stands twice", "remove one"))
		}
		seen |= 1 << resource.Number
		if r.Soft > r.Hard {
			proc.Add(fault.New(fault.At("process.rlimits", i)+".soft", strconv.FormatUint(r.Soft, 10)+" is above the hard limit "+
				strconv.FormatUint(r.Hard, 10), "raise hard or lower soft"))
		}
	}
	return nil
}

// CheckOOM checks process.oomScoreAdj.
//
// Source: proc(5), "/proc/pid/oom_score_adj".
func CheckOOM(p *check.Process) error {
	if o := p.OOMScoreAdj; o != nil && (*o < -1000 || *o > 1000) {
		return fault.New("process.oomScoreAdj", check.Number(*o)+" is out of range", "give a number from -1000 to 1000")
	}
	return nil
}
