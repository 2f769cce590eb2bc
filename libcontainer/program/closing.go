package program

import (
	"math"
	"slices"

	"golang.org/x/sys/unix"
)

// closing is one CloseExcept: the calls' bounds are known only when the
// descriptors are.
type closing struct {
	from   int
	keep   []Reg
	bounds []Reg // low and high of each close_range
}

// CloseExcept emits the closing of all descriptors from the number from on,
// except the socket to the parent and those that the registers keep hold when
// the child is made: registers that are set before Spawn, or by the parent
// section.
//
// Source: close_range(2). Before Linux 5.9 nothing is closed here; the
// descriptors are then closed by execve.
func (b *Builder) CloseExcept(from int, keep ...Reg) {
	c := closing{from: from, keep: append(slices.Clone(keep), b.sync)}
	for range len(c.keep) + 1 {
		lo, hi := b.RegOf(1), b.Reg()
		c.bounds = append(c.bounds, lo, hi)
		b.Sys(unix.SYS_CLOSE_RANGE, Val(lo), Val(hi), Imm(0)).Ignore()
	}
	b.closings = append(b.closings, c)
}

// ParentFds are the registers with descriptors that the parent section opens, as
// far as it has been built.
func (b *Builder) ParentFds() []Reg { return b.fds }

// setClosings fills in the bounds.
func (p *Program) setClosings() {
	for _, c := range p.closings {
		keep := make([]int64, 0, len(c.keep))
		for _, r := range c.keep {
			if fd := p.Word(r); fd >= int64(c.from) {
				keep = append(keep, fd)
			}
		}
		slices.Sort(keep)
		lo := int64(c.from)
		i := 0
		for _, fd := range append(keep, math.MaxInt32) {
			if fd > lo {
				p.Set(c.bounds[i], lo)
				p.Set(c.bounds[i+1], fd-1)
				i += 2
			}
			lo = fd + 1
		}
	}
}
