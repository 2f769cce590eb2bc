package program

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/machine"
)

// ErrNul is returned for a string that holds a NUL byte, which no system call
// could take.
var ErrNul = errors.New("holds a NUL byte")

// reserved is the head of every arena: offset 0 is no register, and the
// interpreter writes its messages at messageOff.
const (
	messageOff = 8
	reserved   = 24
)

// Builder assembles a program. Its methods append; the first error is kept and
// returned by Program. The zero Builder is not ready: use New.
//
// A Builder has a label that its instructions carry. Element, Doing and Step return
// a Builder of the same program with another label and leave the one that they are
// called on as it is, so a label ends with the variable that holds it: what a
// function that is called labels stays its own.
type Builder struct {
	*assembly
	label int32 // index of notes
}

// assembly is what all Builders of one program append to.
type assembly struct {
	parent, child []Instr
	inParent      bool
	notes         []label
	builders      []Builder // room for those that with returns
	labels        []int32
	arena         []byte
	relocs        []uint32 // offsets of words that hold an arena offset to be made an address
	strs          map[string]uint32
	fds           []Reg // registers that hold descriptors of the parent section
	err           error
	sync          Reg
	closings      []closing
	closesEach    bool // see WithoutCloseRange
	forks         []forked
	kept          []Reg
	oldClone      bool
}

// New returns an empty Builder.
func New() *Builder {
	b := &Builder{assembly: &assembly{
		child:  make([]Instr, 0, 1024),
		notes:  make([]label, 1, 512),
		arena:  make([]byte, reserved, 64<<10),
		relocs: make([]uint32, 0, 512),
	}}
	b.sync = b.Reg()
	return b
}

// Sync returns the register of the child's end of the socket to the parent. Reports
// and messages go there; a program that outlives its parent may put another
// descriptor on the same number by dup3.
func (b *Builder) Sync() Reg { return b.sync }

// InParent runs emit with all that it appends going to the parent section. A
// descriptor that a call of the parent section returns is closed in the parent
// after the clone.
func (b *Builder) InParent(emit func()) {
	old := b.inParent
	b.inParent = true
	emit()
	b.inParent = old
}

// Keep leaves the descriptor of the parent section in r open in the parent, until
// Child.Close: see Child.Kept.
func (b *Builder) Keep(r Reg) {
	if i := slices.Index(b.fds, r); i >= 0 {
		b.fds = slices.Delete(b.fds, i, i+1)
		b.kept = append(b.kept, r)
	}
}

// Element returns a Builder whose instructions are for the part t of config.json.
func (b *Builder) Element(t Text) *Builder { return b.with(labelElement, t) }

// Doing returns a Builder whose instructions do t together, for b's element.
func (b *Builder) Doing(t Text) *Builder { return b.with(labelDoing, t) }

// Step returns a Builder whose instructions are the step t of what b's do. It is
// passed to the call that is the step, or kept in a variable of its own for the few
// that are.
func (b *Builder) Step(t Text) *Builder { return b.with(labelStep, t) }

// with returns a Builder with the part kind of its label replaced by t, and the finer
// parts left out.
func (b *Builder) with(kind labelKind, t Text) *Builder {
	above := b.label
	for above != 0 && b.notes[above].kind >= kind {
		above = b.notes[above].above
	}
	b.notes = append(b.notes, label{text: t, above: above, kind: kind})
	if len(b.builders) == cap(b.builders) {
		b.builders = make([]Builder, 0, 64) // those that are handed out keep the old array
	}
	b.builders = append(b.builders, Builder{assembly: b.assembly, label: int32(len(b.notes) - 1)})
	return &b.builders[len(b.builders)-1]
}

// Reg returns a new register, which holds 0.
func (b *Builder) Reg() Reg { return Reg(b.Zero(8).Off) }

// RegOf returns a new register, which holds v.
func (b *Builder) RegOf(v int64) Reg {
	r := b.Reg()
	b.Set(r, v)
	return r
}

// Set gives the word r the value v at the start.
func (b *Builder) Set(r Reg, v int64) { putWord(b.arena, uint32(r), v) }

// Zero returns n bytes of zeroes, aligned to 8.
func (b *Builder) Zero(n int) Mem {
	for len(b.arena)%8 != 0 {
		b.arena = append(b.arena, 0)
	}
	off := len(b.arena)
	b.arena = append(b.arena, make([]byte, n)...)
	return Mem{uint32(off), uint32(n)}
}

// Bytes returns a copy of p, aligned to 8.
func (b *Builder) Bytes(p []byte) Mem {
	m := b.Zero(len(p))
	copy(b.arena[m.Off:], p)
	return m
}

// Struct makes a copy of the structure that v points to, which must hold no
// pointers.
func Struct[S any](b *Builder, v *S) Mem {
	return b.Bytes(unsafe.Slice((*byte)(unsafe.Pointer(v)), int(unsafe.Sizeof(*v))))
}

// Str returns the address of s with a NUL after it. Equal strings share their bytes:
// they must not be written.
func (b *Builder) Str(s string) Arg {
	if strings.IndexByte(s, 0) >= 0 {
		b.Fault(fmt.Errorf("%q %w", s, ErrNul))
		return Imm(0)
	}
	if off, ok := b.strs[s]; ok {
		return Arg{ArgAddr, uint64(off)}
	}
	if b.strs == nil {
		b.strs = make(map[string]uint32, 64)
	}
	off := uint32(len(b.arena))
	b.arena = append(b.arena, s...)
	b.arena = append(b.arena, 0)
	b.strs[s] = off
	return Arg{ArgAddr, uint64(off)}
}

// Strv makes an array of pointers to the strings of s with a null pointer at its
// end, as execve takes.
func (b *Builder) Strv(s []string) Mem {
	const w = int(unsafe.Sizeof(uintptr(0)))
	ptrs := make([]uint32, len(s))
	for i := range s {
		ptrs[i] = uint32(b.Str(s[i]).v)
	}
	m := b.Zero((len(s) + 1) * w)
	for i, off := range ptrs {
		b.Pointer(m, uint32(i*w), Mem{Off: off})
	}
	return m
}

// Pointer puts the address of to at byte off of m.
func (b *Builder) Pointer(m Mem, off uint32, to Mem) {
	putPtr(b.arena, m.Off+off, uintptr(to.Off))
	b.relocs = append(b.relocs, m.Off+off)
}

// Label returns a new label; Bind gives it its place.
func (b *Builder) Label() Label {
	b.labels = append(b.labels, -1)
	return Label(len(b.labels) - 1)
}

// Bind makes l stand for the next instruction of the section.
func (b *Builder) Bind(l Label) {
	b.labels[l] = int32(len(*b.section()))
}

// Len returns the number of the section's instructions so far.
func (b *Builder) Len() int { return len(*b.section()) }

// Fault makes Program return err: one of the configuration, which names its element, as it
// is, any other with b's label before it.
func (b *Builder) Fault(err error) {
	if b.err != nil {
		return
	}
	var own *fault.Error
	if n := noteOf(b.notes, b.label).String(); n != "" && !errors.As(err, &own) {
		err = fmt.Errorf("%s: %w", n, err)
	}
	b.err = err
}

func (b *Builder) section() *[]Instr {
	if b.inParent {
		return &b.parent
	}
	return &b.child
}

func (b *Builder) add(in Instr) Call {
	in.Note = b.label
	s := b.section()
	*s = append(*s, in)
	return Call{b, s, len(*s) - 1}
}

// Call is an instruction that was just appended, for what is to be said of its
// result.
type Call struct {
	b *Builder
	s *[]Instr
	i int
}

// Sys appends the system call nr. It is for package call, whose functions emitters use:
// a test in internal/layers holds that.
func (b *Builder) Sys(nr uintptr, args ...Arg) Call {
	in := Instr{Op: OpSys, NR: uint32(nr), NArgs: uint8(len(args))}
	copy(in.Args[:], args)
	return b.add(in)
}

// To stores the call's result in r.
func (c Call) To(r Reg) Call {
	(*c.s)[c.i].Dst = r
	return c
}

// Fd stores the call's result, a descriptor, in a new register. In the parent
// section it is closed in the parent after the clone.
func (c Call) Fd() Reg {
	r := c.b.RegOf(-1)
	(*c.s)[c.i].Dst = r
	if c.s == &c.b.parent {
		c.b.fds = append(c.b.fds, r)
	}
	return r
}

// Ignore goes on after an error; a destination then holds the negated errno.
func (c Call) Ignore() Call {
	(*c.s)[c.i].OnErr = Next
	return c
}

// On goes on at l when the call's error is errno, 0 being any. Other errors fail.
func (c Call) On(errno unix.Errno, l Label) Call {
	in := &(*c.s)[c.i]
	in.OnErr, in.Errno, in.To = JumpOn, errno, l
	return c
}

// Jump goes on at l.
func (b *Builder) Jump(l Label) { b.add(Instr{Op: OpJump, To: l}) }

// If goes on at l when r compares with v as asked.
func (b *Builder) If(r Reg, c Cmp, v int64, l Label) {
	b.IfWord(Mem{uint32(r), 8}, -1, c, v, l)
}

// IfErrno goes on at l when r holds the negated errno, as Ignore leaves it.
func (b *Builder) IfErrno(r Reg, errno unix.Errno, l Label) {
	b.If(r, Eq, -int64(errno), l)
}

// IfWord goes on at l when the word m, whose length is 1, 2, 4 or 8 bytes, ANDed
// with mask, compares with v as asked. Words under 8 bytes are taken unsigned.
func (b *Builder) IfWord(m Mem, mask int64, c Cmp, v int64, l Label) {
	b.add(Instr{Op: OpIf, Cmp: c, Width: uint8(m.Len), To: l,
		Args: [6]Arg{{ArgAddr, uint64(m.Off)}, Imm(mask), Imm(v)}})
}

// Tell sends tag and the value of r (0 for no register) to the parent.
func (b *Builder) Tell(tag uint32, r Reg) {
	a := Imm(0)
	if r != 0 {
		a = Val(r)
	}
	b.add(Instr{Op: OpTell, NR: tag, Args: [6]Arg{a}})
}

// more is what a message carries beside its head: sendmsg(2)'s arguments for a
// descriptor, writev(2)'s for bytes, which also goes to a fifo. All but the
// descriptor's number and the number of bytes is there from the beginning.
type more struct {
	msg  unix.Msghdr
	iov  [2]unix.Iovec
	cmsg struct {
		unix.Cmsghdr
		fd int32
		_  int32
	}
}

const (
	moreIov     = unsafe.Offsetof(more{}.iov)
	moreData    = moreIov + unsafe.Sizeof(unix.Iovec{}) + unsafe.Offsetof(unix.Iovec{}.Base)
	moreLen     = moreIov + unsafe.Sizeof(unix.Iovec{}) + unsafe.Offsetof(unix.Iovec{}.Len)
	moreControl = unsafe.Offsetof(more{}.cmsg)
	moreFd      = moreControl + unsafe.Sizeof(unix.Cmsghdr{})
	msgNosignal = unix.MSG_NOSIGNAL
)

// more makes the parts of a message with the bytes m behind it, or a descriptor.
func (b *Builder) more(m Mem) Mem {
	h := more{}
	h.msg.SetIovlen(1)
	h.msg.SetControllen(unix.CmsgSpace(4))
	h.iov[0].SetLen(int(unsafe.Sizeof(Message{})))
	h.cmsg.SetLen(unix.CmsgLen(4))
	h.cmsg.Level, h.cmsg.Type = unix.SOL_SOCKET, unix.SCM_RIGHTS
	parts := Struct(b, &h)
	at := func(off uintptr, to Mem) { b.Pointer(parts, uint32(off), to) }
	at(unsafe.Offsetof(h.msg.Iov), Mem{Off: parts.Off + uint32(moreIov)})
	at(unsafe.Offsetof(h.msg.Control), Mem{Off: parts.Off + uint32(moreControl)})
	at(moreIov, Mem{Off: messageOff})
	if m.Len > 0 {
		at(moreData, m)
	}
	return parts
}

// MaxData bounds what TellData sends, in bytes.
const MaxData = 4096

// TellData sends tag with the first n bytes of m, at most MaxData, to the parent.
// The message's value is their number.
func (b *Builder) TellData(tag uint32, m Mem, n Reg) {
	b.add(Instr{Op: OpTellData, NR: tag, NArgs: 4, Args: [6]Arg{Imm(0), b.more(m).Arg(), Imm(-1), Val(n)}})
}

// TellFd sends tag and the value of r (0 for no register) with the descriptor fd to
// the parent, which then has a duplicate.
//
// Source: unix(7), SCM_RIGHTS. pidfd_getfd(2) asks for rights over the child that an
// unprivileged parent does not have.
func (b *Builder) TellFd(tag uint32, r, fd Reg) {
	value := Imm(0)
	if r != 0 {
		value = Val(r)
	}
	b.add(Instr{Op: OpTellFd, NR: tag, NArgs: 4, Args: [6]Arg{value, b.more(Mem{}).Arg(), Val(fd), Imm(0)}})
}

// Wait reads one message of the parent, of the length of m, into m. When the
// parent has gone, or sends another length, the child ends.
func (b *Builder) Wait(tag uint32, m Mem) {
	b.add(Instr{Op: OpWait, NR: tag, Args: [6]Arg{m.Arg(), Imm(m.Len)}})
}

// Barrier tells the parent tag and r, and waits until it answers with one byte.
func (b *Builder) Barrier(tag uint32, r Reg) {
	b.Tell(tag, r)
	b.Wait(tag, b.Zero(1))
}

// forked is a second process of the program: the message by which the first one tells
// of it, and where the second goes on.
type forked struct {
	tell  int32
	label Label // of child, before linking
	child int32
}

// WithoutClone3 makes clones by the older call, which a seccomp filter can look into:
// around the runtime some deny clone3, as engines' profiles do to programs.
func (b *Builder) WithoutClone3() { b.oldClone = true }

// OldClone reports whether clone3 is not to be had: see WithoutClone3. What it does beside,
// CLONE_CLEAR_SIGHAND, is then to be emitted.
func (b *Builder) OldClone() bool { return b.oldClone }

// Clone makes a second process, a sibling of the first, with the CLONE_NEW flags, and goes on in
// it. The first tells the parent tag with the second one's number, and ends: no pidfd, since
// a user whose other processes keep descriptors in flight can send none. The second waits for
// the parent's answer: nothing is told before the parent knows by whom.
//
// Source: clone(2), CLONE_PARENT; unix(7), ETOOMANYREFS.
func (b *Builder) Clone(flags uint64, tag uint32) {
	if b.oldClone {
		b.cloneOld(flags, tag)
		return
	}
	// struct clone_args up to tls: flags come first, all else is 0.
	m := b.Zero(64)
	b.Set(m.Reg(0), int64(unix.CLONE_PARENT|flags))
	b.goOnIn(b.Sys(unix.SYS_CLONE3, m.Arg(), Imm(m.Len)), tag)
}

// CloneFlags are the flags of CloneOld.
const CloneFlags = unix.CLONE_PARENT

// CloneOld is Clone without namespaces by the older system call, whose flags a seccomp
// filter can see: engines' profiles allow it and hide clone3 from programs.
//
// Source: clone(2), "C library/kernel differences".
func (b *Builder) CloneOld(tag uint32) { b.cloneOld(0, tag) }

func (b *Builder) cloneOld(more uint64, tag uint32) {
	first, second := machine.CloneArgs(CloneFlags|more, 0)
	b.goOnIn(b.Sys(unix.SYS_CLONE, Imm(first), Imm(second), Imm(0), Imm(0), Imm(0)), tag)
}

// goOnIn emits what follows a clone.
func (b *Builder) goOnIn(clone Call, tag uint32) {
	r, child := b.Reg(), b.Label()
	clone.To(r)
	b.If(r, Eq, 0, child)
	b.forks = append(b.forks, forked{tell: int32(b.Len()), label: child})
	b.Tell(tag, r)
	b.Exit(0)
	b.Bind(child)
	b.Wait(tag, b.Zero(1))
}

// Low32 returns the half of the register r that a call which stores 32 bits has to write;
// the other half is zero.
func (b *Builder) Low32(r Reg) Mem {
	off := uint32(r)
	if machine.BigEndian() {
		off += 4
	}
	return Mem{off, 4}
}

// Fail ends the child with errno, reported under b's label.
func (b *Builder) Fail(errno unix.Errno) { b.add(Instr{Op: OpFail, Errno: errno}) }

// Exit ends the child with status, reporting nothing.
func (b *Builder) Exit(status int) { b.add(Instr{Op: OpExit, Args: [6]Arg{Imm(status)}}) }

// Program returns what was built, linked, or the first error of an emitter. b must not be
// used afterwards.
func (b *Builder) Program() (*Program, error) {
	if b.err != nil {
		return nil, b.err
	}
	p := &Program{Parent: b.parent, Child: b.child, notes: b.notes, arena: b.arena, relocs: b.relocs, fds: b.fds, sync: b.sync, closings: b.closings, closesEach: b.closesEach, kept: b.kept}
	for _, f := range b.forks {
		p.forks = append(p.forks, forked{tell: f.tell, child: b.labels[f.label]})
	}
	for _, s := range [][]Instr{p.Parent, p.Child} {
		for i := range s {
			in := &s[i]
			if in.Op == OpJump || in.Op == OpIf || in.OnErr == JumpOn {
				to := b.labels[in.To]
				if to < 0 || int(to) > len(s) {
					return nil, fmt.Errorf("program: instruction %d jumps to a label without a place (%s)", i, p.Note(in))
				}
				in.To = Label(to)
			}
		}
	}
	return p, nil
}
