package verify

import (
	"slices"
	"sync"

	"github.com/hutch-project/hutch/internal/calls"
	"github.com/hutch-project/hutch/internal/program"
)

// maxApart bounds the states of one place that are told apart though they are alike,
// maxStates all of them, and maxSteps the work: a program that needs more is refused.
const (
	maxApart  = 1
	maxStates = 512
	maxSteps  = 1 << 22
)

// walker walks one program.
type walker struct {
	p *program.Program
	e *Expect
	x *expected

	code     []program.Instr // of the section
	inParent bool
	index    []int16 // register of each word of the arena, -1 for none
	regs     []program.Reg
	lives    []life
	initial  []value // of registers
	slots    int
	written  []bool      // by word of the arena: somebody else writes there
	results  []bool      // by word of the arena: a result is put there
	dynamics [][2]uint32 // where exactly: from, to
	outs     []span      // of outputs
	closings []program.Closing
	forks    []program.Fork
	unasked  []uint32 // tags with a wait that does not stand behind its message

	joins   []bool
	inLoop  []bool     // places that are come back to
	waiting [][]*state // by place: states that have come there
	due     [][]*state // those that go on from there
	first   int        // place before which nothing is due
	more    []*state   // of the other ways, to go on at their place
	free    []*state

	texts  []string
	textOf map[string]int32
	byOff  map[uint32]int32

	ways  []jump
	noted []uint64 // rules that an instruction satisfies, by place; those of the parent section come after
	seen  []bool   // places of the child section that are reached
	ends  []*state // where the parent section ends well
	waive [rules]string
	nodes map[string]int64 // by name in the program's own file system of devices: type and number

	steps, states int
	fail          *Error
}

// jump is a step on a way that does not go to the next instruction.
type jump struct {
	from, to int32
	before   int32
	parent   bool
}

// scratch is what a walker leaves for the next one.
type scratch struct {
	free []*state
	ways []jump
}

var scratches sync.Pool

func newWalker(p *program.Program, e *Expect) *walker {
	w := &walker{p: p, e: e, closings: p.Closings(), forks: p.Forks(), textOf: make(map[string]int32, 64), byOff: make(map[uint32]int32, 64)}
	w.noted = make([]uint64, len(p.Child)+len(p.Parent)+1)
	w.seen = make([]bool, len(p.Child))
	if old, ok := scratches.Get().(*scratch); ok {
		w.free, w.ways = old.free, old.ways[:0]
	}
	w.text("")
	w.number()
	w.x = expectations(w)
	return w
}

// number gives each register an index, and finds what others write.
func (w *walker) number() {
	w.index = make([]int16, w.p.Size()/8+1)
	w.written, w.results = make([]bool, len(w.index)), make([]bool, len(w.index))
	for i := range w.index {
		w.index[i] = -1
	}
	add := func(r program.Reg) {
		if i := int(r / 8); r != 0 && i < len(w.index) && w.index[i] < 0 {
			w.index[i] = int16(len(w.regs))
			w.regs = append(w.regs, r)
		}
	}
	for _, code := range [...][]program.Instr{w.p.Parent, w.p.Child} {
		for i := range code {
			in := &code[i]
			add(in.Dst)
			if at := int(in.Dst / 8); in.Dst != 0 && at < len(w.results) {
				w.results[at] = true
			}
			for j := range in.Args {
				if r, ok := in.Args[j].Reg(); ok {
					add(r)
				}
			}
			if off, ok := in.Args[0].Addr(); ok && in.Op == program.OpIf && in.Width == 8 {
				add(program.Reg(off))
			}
			if in.Op == program.OpWait && i > 0 && !tells(&code[i-1]) && !slices.Contains(w.unasked, in.NR) {
				w.unasked = append(w.unasked, in.NR)
			}
			for _, o := range w.outputs(in) {
				if o.n == 0 {
					continue
				}
				w.dynamics = append(w.dynamics, [2]uint32{o.off, o.off + o.n})
				for at := o.off / 8; at <= (o.off+o.n-1)/8 && int(at) < len(w.written); at++ {
					w.written[at] = true
				}
			}
		}
	}
	add(w.p.Sync())
	for _, r := range [...]program.Reg{w.e.Go, w.e.Result, w.e.Exe} {
		add(r)
	}
	for _, r := range w.e.Tasks {
		add(r)
	}
	for _, c := range w.closings {
		for _, r := range c.Keep {
			add(r)
		}
	}
	w.assign()
}

func tells(in *program.Instr) bool {
	return in.Op == program.OpTell || in.Op == program.OpTellData || in.Op == program.OpTellFd
}

// span is a part of the arena.
type span struct{ off, n uint32 }

// outputs returns the memory that an instruction has somebody else write. It is valid
// until the next call.
func (w *walker) outputs(in *program.Instr) []span {
	w.outs = w.outs[:0]
	switch in.Op {
	case program.OpWait:
		if off, ok := in.Args[0].Addr(); ok {
			n, _ := in.Args[1].Imm()
			w.outs = append(w.outs, span{off, uint32(n)})
		}
	case program.OpSys:
		c := calls.Of(in.NR)
		for i := range in.Args {
			n, from, ok := c.Out(i)
			off, isAddr := in.Args[i].Addr()
			if !ok || !isAddr {
				continue
			}
			if from >= 0 {
				n = w.length(in.Args[from])
			}
			w.outs = append(w.outs, span{off, n})
		}
	}
	return w.outs
}

// length returns the number of bytes that a says: of all the arena where it is not known
// beforehand.
func (w *walker) length(a program.Arg) uint32 {
	if v, ok := a.Imm(); ok {
		return uint32(min(v, uint64(w.p.Size())))
	}
	return w.p.Size()
}

// outArg returns the first argument by which the kernel writes, as an offset.
func outArg(in *program.Instr) uint32 {
	c := calls.Of(in.NR)
	for i := range in.Args {
		if _, _, ok := c.Out(i); ok {
			off, _ := in.Args[i].Addr()
			return off
		}
	}
	return 0
}

// pathArgs returns the arguments that are the path number n of a call, and the directory
// that it is resolved from; an argument that the call has not is no register and no
// address.
func pathArgs(in *program.Instr, n int) (dir, path program.Arg) {
	i, j := calls.Of(in.NR).Path(n)
	if i >= 0 {
		dir = in.Args[i]
	}
	if j >= 0 {
		path = in.Args[j]
	}
	return dir, path
}

// pathText returns the path number n of a call, where it is known.
func (w *walker) pathText(in *program.Instr, n int) (string, bool) {
	_, path := pathArgs(in, n)
	return w.str(path)
}

func (w *walker) reg(r program.Reg) int {
	if i := int(r / 8); r != 0 && r%8 == 0 && i < len(w.index) {
		return int(w.index[i])
	}
	return -1
}

// text returns the number of s in the table of texts.
func (w *walker) text(s string) int32 {
	if i, ok := w.textOf[s]; ok {
		return i
	}
	i := int32(len(w.texts))
	w.texts = append(w.texts, s)
	w.textOf[s] = i
	return i
}

// run walks the parent section, then the child's.
func (w *walker) run() error {
	w.code, w.inParent = w.p.Parent, true
	s := w.begin()
	w.section(s)
	if w.fail != nil {
		return w.fail
	}
	w.code, w.inParent = w.p.Child, false
	starts := w.ends
	w.ends = nil
	w.prepare()
	for _, s := range starts {
		w.born(s)
		w.arrive(s, 0)
	}
	w.drain()
	if w.fail == nil {
		w.messages()
	}
	for _, list := range w.waiting {
		w.free = append(w.free, list...)
	}
	scratches.Put(&scratch{w.free, w.ways})
	if w.fail != nil {
		return w.fail
	}
	return nil
}

func (w *walker) section(s *state) {
	w.prepare()
	w.arrive(s, 0)
	w.drain()
}

// prepare finds the places of the section where ways meet.
func (w *walker) prepare() {
	n := len(w.code)
	w.joins = make([]bool, n+1)
	w.waiting, w.due = make([][]*state, n+1), make([][]*state, n+1)
	w.first = 0
	w.joins[0], w.joins[n] = true, true
	w.inLoop = make([]bool, n+1)
	for i := range w.code {
		in := &w.code[i]
		if in.Op == program.OpJump || in.Op == program.OpIf || in.Op == program.OpSys && in.OnErr == program.JumpOn {
			w.joins[in.To] = true
			for at := int(in.To); at <= i; at++ {
				w.inLoop[at] = true
			}
		}
	}
}

// drain goes on with what is due, the first place first: in a program without loops
// every place is left once.
func (w *walker) drain() {
	for w.fail == nil {
		for w.first <= len(w.code) && len(w.due[w.first]) == 0 {
			w.first++
		}
		if w.first > len(w.code) {
			return
		}
		pc := w.first
		list := w.due[pc]
		w.due[pc] = nil
		if !w.inLoop[pc] { // nothing comes here any more
			w.waiting[pc] = nil
		}
		for _, stored := range list {
			if w.fail != nil {
				return
			}
			if w.inLoop[pc] {
				stored = w.copy(stored)
			}
			w.walk(stored, pc)
		}
	}
}

// walk follows s from pc to the next place where ways meet, and leaves the other ways of
// branches for later.
func (w *walker) walk(s *state, pc int) {
	w.more = append(w.more[:0], s)
	s.atPC = pc
	for due := true; len(w.more) > 0 && w.fail == nil; due = false {
		s = w.more[len(w.more)-1]
		w.more = w.more[:len(w.more)-1]
		pc := s.atPC
		for {
			if w.joins[pc] && !due {
				w.arrive(s, pc)
				break
			}
			due = false
			if pc >= len(w.code) {
				w.end(s, pc)
				w.release(s)
				break
			}
			if w.steps++; w.steps > maxSteps {
				w.refuse(s, pc, Ends, "the program has too many ways to be proven")
				return
			}
			next, goesOn := w.step(s, pc)
			if w.fail != nil {
				return
			}
			if !goesOn {
				w.release(s)
				break
			}
			if next != pc+1 {
				w.jumped(s, pc, next)
			}
			pc = next
		}
	}
}

// branch returns a copy of s that goes on at to.
func (w *walker) branch(s *state, pc, to int) *state {
	c := w.copy(s)
	c.atPC = to
	if to != pc+1 {
		w.jumped(c, pc, to)
	}
	w.more = append(w.more, c)
	return c
}

// drop takes back the last branch.
func (w *walker) drop(c *state) {
	w.more = w.more[:len(w.more)-1]
	w.release(c)
}

func (w *walker) jumped(s *state, from, to int) {
	w.ways = append(w.ways, jump{int32(from), int32(to), s.way, w.inParent})
	s.way = int32(len(w.ways) - 1)
}

func (w *walker) copy(s *state) *state {
	var c *state
	if n := len(w.free); n > 0 {
		c = w.free[n-1]
		w.free = w.free[:n-1]
	} else {
		c = &state{}
	}
	regs, facts := c.regs, c.facts
	*c = *s
	c.regs, c.facts = append(regs[:0], s.regs...), append(facts[:0], s.facts...)
	return c
}

func (w *walker) release(s *state) { w.free = append(w.free, s) }
