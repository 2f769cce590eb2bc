// Package program is what Hutch's child process runs: a flat list of system
// calls with prepared arguments, an assembler for it, a listing, and the
// interpreter that walks it between clone3 and execve.
//
// A program has two sections. The instructions of the parent section open what
// the child inherits, and run in the calling process before the clone. Those of
// the child section run in the child, in one function that allocates nothing,
// takes no lock and never returns to Go's scheduler.
//
// Everything a program needs at run time lies in its arena: strings, structures
// and registers. A register is a word of the arena, so a result may land inside
// a structure that a later call reads.
//
// Do not use this package to decide anything: what is to be done is decided
// while the program is built.
package program

import (
	"golang.org/x/sys/unix"
)

// Op is the kind of an instruction.
type Op uint8

const (
	OpSys      Op = iota // a system call
	OpJump               // go on at To
	OpIf                 // go on at To when the word compares as asked
	OpTell               // send {Tag, value of register} to the parent
	OpTellData           // the same with bytes of the arena behind it
	OpTellFd             // the same with a descriptor
	OpWait               // read a message of the parent into the arena
	OpClose              // close each descriptor from the first argument to the second
	OpFail               // fail with Errno
	OpExit               // end the process with status Imm, reporting nothing
)

// OnError is what follows a system call's error.
type OnError uint8

const (
	Fail   OnError = iota // report {pc, errno} and end
	Next                  // go on; the destination holds the negated errno
	JumpOn                // go on at To when the errno is Errno (0: any), else fail
)

// Cmp is how OpIf compares a word with its immediate.
type Cmp uint8

const (
	Eq Cmp = iota
	Ne
	Lt // signed
	Ge // signed
)

// Reg is a register: the offset in the arena of an aligned word of 8 bytes. The
// zero Reg is none.
type Reg uint32

// Label is a place in the same section that jumps go to; see Builder.Label.
type Label int32

// Arg is one argument of a system call.
type Arg struct {
	kind ArgKind
	v    uint64
}

// ArgKind is what an argument is.
type ArgKind uint8

const (
	ArgImm  ArgKind = iota // a number
	ArgAddr                // the address of an offset of the arena
	ArgReg                 // the value of a register
)

// Imm returns an immediate argument: a number, a flag word, a descriptor.
func Imm[T ~int | ~int32 | ~int64 | ~uint | ~uint32 | ~uint64 | ~uintptr](v T) Arg {
	return Arg{ArgImm, uint64(v)}
}

// Val returns the value that r has when the call is made.
func Val(r Reg) Arg { return Arg{ArgReg, uint64(r)} }

// Mem is a range of the arena.
type Mem struct {
	Off, Len uint32
}

// Arg returns the address of m.
func (m Mem) Arg() Arg { return Arg{ArgAddr, uint64(m.Off)} }

// Reg returns the word at byte off of m, which must be a multiple of 8, as a register.
func (m Mem) Reg(off uint32) Reg { return Reg(m.Off + off) }

// Instr is one instruction.
type Instr struct {
	Op    Op
	OnErr OnError
	Cmp   Cmp
	NArgs uint8
	Width uint8 // OpIf: bytes of the word, 1, 2, 4 or 8
	Errno unix.Errno
	NR    uint32 // OpSys: number of the call; OpTell…, OpWait: the tag
	Note  int32  // see Program.Note
	To    Label  // before linking a label, after it an index in the section
	Dst   Reg
	Args  [6]Arg // OpIf: word, mask, immediate; OpTell…: value, then of OpTellData and OpTellFd see tellMore; OpWait: Mem; OpExit: status; OpClose: low, high
}
