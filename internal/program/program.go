package program

import (
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Program is a linked program: what Builder.Program returns. It is run at most
// once, by Spawn.
type Program struct {
	Parent []Instr // run before the clone, in the caller
	Child  []Instr // run in the child; a jump past the end exits with status 0

	notes      []label
	arena      []byte
	relocs     []uint32
	fds        []Reg
	sync       Reg
	closings   []closing
	closesEach bool // by OpClose
	forks      []forked
	kept       []Reg // of fds' kind, open until Child.Close

	// of reaches
	seen []uint32
	mark uint32
	todo []int32
}

// Error is the failure of one instruction.
type Error struct {
	Note  Note
	Call  string // name of the system call, empty for a check
	Errno unix.Errno
	PC    int
}

// Error returns the note and the reason; the call's name stands between them when
// the note has no step, or the reason may be a seccomp filter that denies it. Errno 0
// says that the note tells all.
func (e *Error) Error() string {
	s := e.Note.String()
	denied := e.Errno == unix.ENOSYS || e.Errno == unix.EPERM && !strings.Contains(s, e.Call)
	if e.Call != "" && (e.Note.Step.F == "" || denied) {
		s += ": " + e.Call
	}
	if e.Errno == 0 {
		return s
	}
	s += ": " + e.Errno.Error()
	if e.Errno == unix.ENOSYS {
		s += ": a seccomp filter around the runtime denies it, or the kernel is too old or was built without it"
	}
	return s
}

// Unwrap returns the errno.
func (e *Error) Unwrap() error { return e.Errno }

// Failure returns the error that the child instruction pc reports with errno.
func (p *Program) Failure(pc int, errno unix.Errno) *Error { return failure(p, p.Child, pc, errno) }

func failure(p *Program, s []Instr, pc int, errno unix.Errno) *Error {
	e := &Error{Errno: errno, PC: pc}
	if pc >= 0 && pc < len(s) {
		e.Note = p.Note(&s[pc])
		if s[pc].Op == OpSys {
			e.Call = CallName(uintptr(s[pc].NR))
		}
	}
	return e
}

// Word returns the value of the register r of a program that runs in this process: after Spawn
// it holds what the parent section left, not what the child has.
func (p *Program) Word(r Reg) int64 { return getWord(p.arena, uint32(r)) }

// Set gives r a value before Spawn.
func (p *Program) Set(r Reg, v int64) { putWord(p.arena, uint32(r), v) }

// Words of the arena have the machine's byte order.

func putWord(a []byte, off uint32, v int64)  { *(*int64)(unsafe.Pointer(&a[off])) = v }
func getWord(a []byte, off uint32) int64     { return *(*int64)(unsafe.Pointer(&a[off])) }
func putPtr(a []byte, off uint32, v uintptr) { *(*uintptr)(unsafe.Pointer(&a[off])) = v }
func getPtr(a []byte, off uint32) uintptr    { return *(*uintptr)(unsafe.Pointer(&a[off])) }
func base(a []byte) unsafe.Pointer           { return unsafe.Pointer(&a[0]) }
