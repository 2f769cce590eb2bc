package spawn

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// Stamp is the time at which one instruction of the child began.
type Stamp struct {
	PC   int
	Note program.Note
	Call string
	At   time.Duration // CLOCK_MONOTONIC
}

// Stamps returns the time stamps that a traced child has taken so far, in the
// order of the program; an instruction that ran more than once has its last.
func (c *Child) Stamps() []Stamp {
	var out []Stamp
	for pc := 0; c.trace != nil && pc < len(c.p.Child); pc++ {
		ts := (*unix.Timespec)(unsafe.Pointer(&c.trace[pc*16]))
		if at := time.Duration(ts.Nano()); at != 0 {
			in := &c.p.Child[pc]
			s := Stamp{PC: pc, Note: c.p.Note(in), At: at}
			if in.Op == program.OpSys {
				s.Call = program.CallName(uintptr(in.NR))
			}
			out = append(out, s)
		}
	}
	return out
}
