package verify

import (
	"slices"

	"github.com/hutch-project/hutch/internal/program"
)

// A program has hundreds of registers, and few of them matter at a time. So a state has
// slots, which registers share that are not looked at at the same time. A slot knows whose
// value it has: what a register without a slot holds is what it held at the beginning.

// life is where a register is looked at.
type life struct {
	first, last int32 // on one line of all instructions, those of the parent section first
	slot        int16
	inLoop      bool // it is written in a loop
}

// line returns the place of the instruction pc on the line of all of them.
func (w *walker) line(pc int) int32 {
	if w.inParent {
		return int32(pc)
	}
	return int32(len(w.p.Parent) + pc)
}

// assign gives each register a slot.
func (w *walker) assign() {
	w.lives = make([]life, len(w.regs))
	for i := range w.lives {
		w.lives[i] = life{first: -1}
	}
	w.span()
	for _, r := range w.always() {
		if i := w.reg(r); i >= 0 {
			w.lives[i].first, w.lives[i].last = 0, int32(len(w.p.Parent)+len(w.p.Child))
		}
	}
	order := make([]int16, len(w.lives))
	for i := range order {
		order[i] = int16(i)
	}
	slices.SortFunc(order, func(a, b int16) int { return int(w.lives[a].first - w.lives[b].first) })
	var free []int32 // by slot: the end of its last register
	for _, i := range order {
		l := &w.lives[i]
		k := slices.IndexFunc(free, func(end int32) bool { return end < l.first })
		if k < 0 {
			k = len(free)
			free = append(free, 0)
		}
		free[k] = l.last
		l.slot = int16(k)
	}
	w.slots = len(free)
}

// always returns the registers that are looked at everywhere.
func (w *walker) always() []program.Reg {
	out := append([]program.Reg{w.p.Sync(), w.e.Go, w.e.Result, w.e.Exe}, w.e.Tasks...)
	for _, c := range w.closings {
		out = append(out, c.Keep...)
	}
	return out
}

// span finds the first and the last place of each register. In a loop that is all of it.
func (w *walker) span() {
	at := int32(0)
	use := func(i int) {
		if i < 0 {
			return
		}
		if l := &w.lives[i]; l.first < 0 {
			l.first, l.last = at, at
		} else {
			l.last = at
		}
	}
	var loops [][2]int32
	for _, code := range [...][]program.Instr{w.p.Parent, w.p.Child} {
		begin := at
		for pc := range code {
			in := &code[pc]
			w.each(in, use)
			if jumps(in) && int(in.To) <= pc {
				loops = append(loops, [2]int32{begin + int32(in.To), at})
			}
			at++
		}
	}
	for changed := len(loops) > 0; changed; {
		changed = false
		for i := range w.lives {
			l := &w.lives[i]
			for _, loop := range loops {
				if l.first <= loop[1] && loop[0] <= l.last && (loop[0] < l.first || l.last < loop[1]) {
					l.first, l.last = min(l.first, loop[0]), max(l.last, loop[1])
					changed = true
				}
			}
		}
	}
	w.inLoops(loops)
}

// inLoops finds the registers that are written in loops.
func (w *walker) inLoops(loops [][2]int32) {
	np := int32(len(w.p.Parent))
	for _, loop := range loops {
		for at := loop[0]; at <= loop[1]; at++ {
			var in *program.Instr
			if at < np {
				in = &w.p.Parent[at]
			} else {
				in = &w.p.Child[at-np]
			}
			mark := func(i int) {
				if i >= 0 {
					w.lives[i].inLoop = true
				}
			}
			mark(w.reg(in.Dst))
			w.writes(in, mark)
		}
	}
}

func jumps(in *program.Instr) bool {
	return in.Op == program.OpJump || in.Op == program.OpIf || in.Op == program.OpSys && in.OnErr == program.JumpOn
}

// each calls use for the registers that in looks at or writes.
func (w *walker) each(in *program.Instr, use func(int)) {
	use(w.reg(in.Dst))
	for j := range in.Args {
		if r, ok := in.Args[j].Reg(); ok {
			use(w.reg(r))
		}
		if off, ok := in.Args[j].Addr(); ok && off%8 == 0 {
			use(w.reg(program.Reg(off)))
		}
	}
	w.writes(in, use)
}

// writes calls use for the registers that somebody else writes meanwhile.
func (w *walker) writes(in *program.Instr, use func(int)) {
	for _, o := range w.outputs(in) {
		for at := o.off / 8; o.n > 0 && at <= (o.off+o.n-1)/8 && int(at) < len(w.index); at++ {
			use(int(w.index[at]))
		}
	}
}
