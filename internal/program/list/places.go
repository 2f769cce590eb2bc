package list

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"github.com/hutch-project/hutch/internal/program"
)

// lister knows the names of a program's registers and memory. It reads the arena
// as it is before Spawn: pointers there are offsets.
type lister struct {
	p    *program.Program
	tag  func(uint32) string
	regs map[uint64]reg
	bufs []buffer // by offset, not overlapping
}

// reg is what a listing knows of a register.
type reg struct {
	name   string
	stored bool // something stores there: its value at the start says nothing
}

// buffer is memory that a call or the parent writes to.
type buffer struct{ off, n uint64 }

func newLister(prog *program.Program, o *Options) *lister {
	l := &lister{p: prog, regs: map[uint64]reg{}}
	if o != nil {
		l.tag = o.TagName
	}
	for _, s := range [][]program.Instr{prog.Parent, prog.Child} {
		for i := range s {
			l.findBuffers(&s[i])
		}
	}
	l.mergeBuffers()
	if prog.Sync() != 0 {
		l.regs[uint64(prog.Sync())] = reg{"$socket", true}
	}
	for _, c := range prog.Closings() {
		for _, r := range c.Bounds {
			l.use(uint64(r), true)
		}
	}
	for _, s := range [][]program.Instr{prog.Parent, prog.Child} {
		for i := range s {
			l.findRegs(&s[i])
		}
	}
	l.numberRegs()
	return l
}

// findBuffers notes what in writes to.
func (l *lister) findBuffers(in *program.Instr) {
	switch in.Op {
	case program.OpWait:
		if in.Args[1].Word() > 8 {
			l.bufs = append(l.bufs, buffer{in.Args[0].Word(), in.Args[1].Word()})
		}
	case program.OpSys:
		for i, a := range in.Args[:nargs(in)] {
			if n, ok := l.out(in, i); ok && n > 8 && a.Kind() == program.ArgAddr {
				l.bufs = append(l.bufs, buffer{a.Word(), n})
			}
		}
	}
}

// nargs returns the number of arguments, whatever the instruction says.
func nargs(in *program.Instr) int { return min(int(in.NArgs), len(in.Args)) }

func (l *lister) mergeBuffers() {
	slices.SortFunc(l.bufs, func(a, b buffer) int { return cmp.Compare(a.off, b.off) })
	out := l.bufs[:0]
	for _, b := range l.bufs {
		b.n = min(b.n, uint64(l.p.Size()))
		if i := len(out) - 1; i >= 0 && b.off < out[i].off+out[i].n {
			out[i].n = max(out[i].n, b.off+b.n-out[i].off)
			continue
		}
		out = append(out, b)
	}
	l.bufs = out
}

// use notes the register off; stored says that an instruction stores there.
func (l *lister) use(off uint64, stored bool) {
	r := l.regs[off]
	r.stored = r.stored || stored
	l.regs[off] = r
}

func (l *lister) findRegs(in *program.Instr) {
	n := nargs(in)
	switch in.Op {
	case program.OpTell, program.OpExit:
		n = 1
	case program.OpIf:
		if in.Width == 8 {
			l.use(in.Args[0].Word(), false)
		}
		n = 0
	case program.OpWait:
		if in.Args[1].Word() == 8 {
			l.use(in.Args[0].Word(), true)
		}
		n = 0
	}
	for _, a := range in.Args[:n] {
		if a.Kind() == program.ArgReg {
			l.use(a.Word(), false)
		}
	}
	if in.Op != program.OpSys {
		return
	}
	if in.Dst != 0 {
		l.use(uint64(in.Dst), true)
	}
	for i, a := range in.Args[:n] {
		if n, ok := l.out(in, i); ok && n <= 8 && a.Kind() == program.ArgAddr {
			l.use(a.Word(), true)
		}
	}
}

// numberRegs gives the registers outside of buffers their names, in the order in
// which they appear: once more over the program, as their set is known only now.
func (l *lister) numberRegs() {
	n := 0
	name := func(off uint64) {
		r, ok := l.regs[off]
		if !ok || r.name != "" || l.inBuffer(off) >= 0 {
			return
		}
		n++
		r.name = "$" + strconv.Itoa(n)
		l.regs[off] = r
	}
	for _, s := range [][]program.Instr{l.p.Parent, l.p.Child} {
		for i := range s {
			for _, a := range s[i].Args {
				if a.Kind() != program.ArgImm {
					name(a.Word())
				}
			}
			if s[i].Dst != 0 {
				name(uint64(s[i].Dst))
			}
		}
	}
}

// inBuffer returns the index of the buffer that off is in, or -1.
func (l *lister) inBuffer(off uint64) int {
	i, ok := slices.BinarySearchFunc(l.bufs, off, func(b buffer, off uint64) int { return cmp.Compare(b.off, off) })
	if ok {
		return i
	}
	if i--; i >= 0 && off < l.bufs[i].off+l.bufs[i].n {
		return i
	}
	return -1
}

// place names n bytes of the arena.
func (l *lister) place(off, n uint64) string {
	if r := l.regs[off]; r.name != "" {
		if n == 8 {
			return r.name
		}
		return r.name + "[0:" + strconv.FormatUint(n, 10) + "]"
	}
	if i := l.inBuffer(off); i >= 0 {
		b, s := l.bufs[i], "buf"+strconv.Itoa(i+1)
		if off == b.off && n == b.n {
			return s
		}
		off -= b.off
		return s + "[" + strconv.FormatUint(off, 10) + ":" + strconv.FormatUint(off+n, 10) + "]"
	}
	return "@" + strconv.FormatUint(off, 10)
}

// address names the address off of something that is not decoded.
func (l *lister) address(off uint64) string {
	if r := l.regs[off]; r.name != "" {
		return "&" + r.name
	}
	if i := l.inBuffer(off); i >= 0 {
		s := "&buf" + strconv.Itoa(i+1)
		if off -= l.bufs[i].off; off != 0 {
			s += "[" + strconv.FormatUint(off, 10) + "]"
		}
		return s
	}
	return "@" + strconv.FormatUint(off, 10)
}

// start names the memory that begins at off, of which a part is meant.
func (l *lister) start(off uint64) string { return strings.TrimPrefix(l.address(off), "&") }

// value returns the name of a register, with its value where nothing changes that.
func (l *lister) value(off uint64) string {
	r := l.regs[off]
	if r.name == "" {
		return l.place(off, 8)
	}
	if b := l.bytes(off, 8); b != nil && !r.stored {
		if v := binary.NativeEndian.Uint64(b); v != 0 {
			return r.name + "=" + intWord(v)
		}
	}
	return r.name
}

// bytes returns n bytes of the arena, nil where they are not all there.
func (l *lister) bytes(off, n uint64) []byte {
	size := uint64(l.p.Size())
	if off > size || n > size-off {
		return nil
	}
	return l.p.Data(uint32(off), uint32(n))
}
