package program

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/calls"
)

// This file lets others read a linked program that was not run: the verifier, which
// proves it, and its tests, which break it. A listing is for people; here is what an
// instruction is, whoever has emitted it.

// Closing is one CloseExcept of a program.
type Closing struct {
	At      int   // its first instruction, in the child section
	Numbers []int // descriptors that stay open, in order
	Keep    []Reg // registers whose descriptors stay open, the socket's among them
	Bounds  []Reg // the low and the high end of each close_range
}

// Fork is a second process of a program, see Builder.Clone.
type Fork struct {
	Tell  int // the message by which the first one tells of the second
	Child int // the instruction at which the second goes on
}

// Kind returns what a is.
func (a Arg) Kind() ArgKind { return a.kind }

// Word returns the number, the offset or the register that a is.
func (a Arg) Word() uint64 { return a.v }

// Imm returns the immediate that a is; ok is false for another argument.
func (a Arg) Imm() (v uint64, ok bool) { return a.v, a.kind == ArgImm }

// Reg returns the register whose value a is.
func (a Arg) Reg() (r Reg, ok bool) { return Reg(a.v), a.kind == ArgReg }

// Addr returns the offset in the arena whose address a is.
func (a Arg) Addr() (off uint32, ok bool) { return uint32(a.v), a.kind == ArgAddr }

// Data returns the n bytes of the arena at off, nil where it has not so many. They are the
// program's own: only tests write them.
func (p *Program) Data(off, n uint32) []byte {
	if uint64(off)+uint64(n) > uint64(len(p.arena)) {
		return nil
	}
	return p.arena[off : off+n : off+n]
}

// Size returns the length of the arena.
func (p *Program) Size() uint32 { return uint32(len(p.arena)) }

// CString returns the string at off, up to its NUL.
func (p *Program) CString(off uint32) (string, bool) {
	if uint64(off) >= uint64(len(p.arena)) {
		return "", false
	}
	i := bytes.IndexByte(p.arena[off:], 0)
	if i < 0 {
		return "", false
	}
	return string(p.arena[off : off+uint32(i)]), true
}

// Pointer returns where the pointer at off of the arena leads to, as an offset; ok is false
// where there is a null pointer or no room for one.
func (p *Program) Pointer(off uint32) (to uint32, ok bool) {
	const word = strconv.IntSize / 8
	b := p.Data(off, word)
	if b == nil {
		return 0, false
	}
	v := uint64(0)
	if word == 8 {
		v = binary.NativeEndian.Uint64(b)
	} else {
		v = uint64(binary.NativeEndian.Uint32(b))
	}
	return uint32(v), v != 0 && v < uint64(len(p.arena))
}

// Sync returns the register of the socket to the parent.
func (p *Program) Sync() Reg { return p.sync }

// Closings returns the program's closings of descriptors, in order.
func (p *Program) Closings() []Closing {
	out := make([]Closing, len(p.closings))
	for i, c := range p.closings {
		out[i] = Closing{At: c.at, Numbers: c.numbers, Keep: c.keep, Bounds: c.bounds}
	}
	return out
}

// Forks returns the program's second processes.
func (p *Program) Forks() []Fork {
	out := make([]Fork, len(p.forks))
	for i, f := range p.forks {
		out[i] = Fork{Tell: int(f.tell), Child: int(f.child)}
	}
	return out
}

// Copy returns a program of its own that is the same as p, which was not run.
func (p *Program) Copy() *Program {
	q := *p
	q.Parent, q.Child = slices.Clone(p.Parent), slices.Clone(p.Child)
	q.arena, q.relocs, q.fds = slices.Clone(p.arena), slices.Clone(p.relocs), slices.Clone(p.fds)
	q.seen, q.todo = nil, nil
	return &q
}

// GivesFd reports whether the call opens a descriptor, which its result is then.
//
// Source: the man page of each call.
func (in *Instr) GivesFd() bool {
	c := calls.Of(in.NR)
	switch {
	case c == nil:
		return false
	case c.Result == calls.Varies && in.NR == unix.SYS_IOCTL:
		request, _ := in.Args[1].Imm()
		return request == unix.TIOCGPTPEER
	case c.Result == calls.Varies && in.NR == unix.SYS_SECCOMP:
		flags, _ := in.Args[1].Imm()
		return flags&unix.SECCOMP_FILTER_FLAG_NEW_LISTENER != 0
	}
	return c.Result == calls.NewFd
}

// TellsData returns where an OpTellData has what it sends, as an offset.
func (p *Program) TellsData(in *Instr) uint32 {
	data, _ := p.Pointer(uint32(in.Args[1].v) + uint32(moreData))
	return data
}
