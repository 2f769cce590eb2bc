package program

import (
	"slices"

	"golang.org/x/sys/unix"
)

// firstClosed is the first descriptor that is not a standard one.
const firstClosed = 3

// closing is one CloseExcept: the calls' bounds are known only when the
// descriptors are.
type closing struct {
	at      int // its first instruction, of the child section
	numbers []int
	keep    []Reg
	bounds  []Reg // low and high of each close_range
}

// CloseExcept emits the closing of all descriptors but the standard ones, the
// numbers, the socket to the parent, and those that the registers keep hold when
// the child is made: registers that are set before Spawn, or by the parent section.
//
// Source: close_range(2), Linux 5.9.
func (b *Builder) CloseExcept(numbers []int, keep ...Reg) {
	c := closing{at: b.Len(), numbers: slices.Clone(numbers), keep: append(slices.Clone(keep), b.sync)}
	slices.Sort(c.numbers)
	ranges := 1 + len(c.keep)
	for i, n := range c.numbers {
		if i == 0 || c.numbers[i-1] != n-1 {
			ranges++
		}
	}
	for range ranges {
		lo, hi, next := b.RegOf(1), b.Reg(), b.Label()
		c.bounds = append(c.bounds, lo, hi)
		if b.closesEach {
			b.add(Instr{Op: OpClose, NArgs: 2, Args: [6]Arg{Val(lo), Val(hi)}})
			continue
		}
		// A range that is empty fails. Any other error, as of a filter that denies the call,
		// would leave descriptors open.
		b.Sys(unix.SYS_CLOSE_RANGE, Val(lo), Val(hi), Imm(0)).On(unix.EINVAL, next)
		b.Bind(next)
	}
	b.closings = append(b.closings, c)
}

// WithoutCloseRange closes descriptors one by one, where a seccomp filter denies close_range.
func (b *Builder) WithoutCloseRange() { b.closesEach = true }

// ClosesEach reports whether descriptors are closed one by one: then no descriptor may be open,
// when the child is made, from the end on that Machine is given.
func (p *Program) ClosesEach() bool { return p.closesEach }

// setClosings fills in the bounds, for descriptors below end.
func (p *Program) setClosings(end int) {
	for _, c := range p.closings {
		keep := make([]int64, 0, len(c.numbers)+len(c.keep))
		for _, n := range c.numbers {
			keep = append(keep, int64(n))
		}
		for _, r := range c.keep {
			if fd := p.Word(r); fd >= firstClosed {
				keep = append(keep, fd)
			}
		}
		slices.Sort(keep)
		lo, i := int64(firstClosed), 0
		for _, fd := range append(keep, int64(end)) {
			// close_range has no exceptions: one call up to each descriptor that is kept.
			if fd > lo {
				p.Set(c.bounds[i], lo)
				p.Set(c.bounds[i+1], fd-1)
				i += 2
			}
			lo = max(lo, fd+1)
		}
	}
}
