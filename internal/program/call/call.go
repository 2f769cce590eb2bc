// Package call has a function for each system call that programs are made of. The
// types of its parameters keep a descriptor, a path, a number and memory apart, and a
// buffer from another's length, so that what is in the wrong place does not compile.
//
// The name of a function is the call's; where a call does several things (prctl, ioctl,
// fsconfig, keyctl), there is a function for each. What the arguments are is also in
// the table of package internal/calls, which the listing and the verifier read: a test
// holds the two together.
//
// Source: the man page of each call.
package call

import (
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

type arg = program.Arg

// Fd is an argument that is a descriptor.
type Fd program.Arg

// In returns the descriptor that r holds when the call is made.
func In(r program.Reg) Fd { return Fd(program.Val(r)) }

// Number returns the descriptor n.
func Number(n int) Fd { return Fd(program.Imm(n)) }

// Cwd stands for the working directory, where a path is resolved from a descriptor.
func Cwd() Fd { return Fd(program.Imm(unix.AT_FDCWD)) }

// Target is the number that dup3 puts a descriptor on.
type Target program.Arg

// As returns the number n.
func As(n int) Target { return Target(program.Imm(n)) }

// Over returns the number of the descriptor that r holds, which is closed by that.
func Over(r program.Reg) Target { return Target(program.Val(r)) }

// Path is an argument that the kernel resolves. The empty one, with AT_EMPTY_PATH or its
// like, is the descriptor before it.
type Path program.Arg

// PathTo returns the path s.
func PathTo(b *program.Builder, s string) Path { return Path(b.Str(s)) }

// PathIn returns the path that m holds when the call is made, with a NUL behind it.
func PathIn(m program.Mem) Path { return Path(m.Arg()) }

// Text is a text that the kernel does not resolve.
type Text program.Arg

// TextOf returns the text s.
func TextOf(b *program.Builder, s string) Text { return Text(b.Str(s)) }

// TextIn returns the text that m holds when the call is made, with a NUL behind it.
func TextIn(m program.Mem) Text { return Text(m.Arg()) }

// Num is a number that may be known only when the call is made.
type Num program.Arg

// N returns the number n.
func N[T ~int | ~int32 | ~int64 | ~uint32](n T) Num { return Num(program.Imm(n)) }

// Value returns the number that r holds.
func Value(r program.Reg) Num { return Num(program.Val(r)) }

// imm returns an argument that is known beforehand.
func imm(n uint64) program.Arg { return program.Imm(n) }

// none returns 0, or a null pointer.
func none() program.Arg { return program.Imm(0) }
