//go:build (amd64 || arm64) && !plain && !race

package spawn

// This file's functions run on a bare thread, beside Go's scheduler and unknown to
// it, and one of them in the child as well: the rules of program/interp.go hold here
// too. Only the start of the thread is of an architecture's own, in thread_*.s.

import (
	"syscall"
	"unsafe"

	"github.com/hutch-project/hutch/internal/program"
)

const (
	futexWaitPrivate = 128     // FUTEX_WAIT | FUTEX_PRIVATE_FLAG
	futexWakePrivate = 128 | 1 // FUTEX_WAKE | FUTEX_PRIVATE_FLAG
)

// The orders of a thread.
const (
	orderNone uint32 = iota
	orderFork
	orderEnd
)

// stackAlign is what both architectures want the stack pointer to be a multiple of.
const stackAlign = 16

// onStack is on top of a bare thread's stack, of which the child has a copy.
type onStack struct {
	t *thread // the argument of threadMain: not for the child
	m program.Machine
}

// thread is what a bare thread works on. Its Forker keeps it from the collector.
//
// The futexes order the rest: the owner writes how and m before order, the thread
// what came of it before done.
type thread struct {
	order uint32 // futex; written by the owner
	done  uint32 // futex; 1 when what came of it is there
	tid   uint32 // futex; 0 when the thread has ended and its stack is free

	unshareEarly uint64 // CLONE_NEW flags to make at once; then those that were made
	how          cloning
	m            *program.Machine

	// What came of it.
	pid   uintptr
	pidfd int32
	errno syscall.Errno
}

var _ = threadMain // which cloneThread calls

// threadMain is the thread. It makes the child where it stands, so that the child
// has the thread's stack and namespaces.
//
//go:nosplit
//go:norace
func threadMain(t *thread) {
	if t.unshareEarly != 0 {
		if _, _, e := syscall.RawSyscall6(syscall.SYS_UNSHARE, uintptr(t.unshareEarly), 0, 0, 0, 0, 0); e != 0 {
			t.unshareEarly = 0
		}
	}
	for loadAcquire(&t.order) == orderNone {
		syscall.RawSyscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(&t.order)), futexWaitPrivate, uintptr(orderNone), 0, 0, 0)
	}
	if loadAcquire(&t.order) == orderFork {
		threadFork(t)
		storeRelease(&t.done, 1)
		syscall.RawSyscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(&t.done)), futexWakePrivate, 1, 0, 0, 0)
	}
	for {
		syscall.RawSyscall6(syscall.SYS_EXIT, 0, 0, 0, 0, 0, 0)
	}
}

//go:nosplit
//go:norace
func threadFork(t *thread) {
	t.how.args.flags &^= t.unshareEarly
	m := t.m // the child does not have t
	pid, e := makeChild(&t.how)
	if e == 0 && pid == 0 {
		program.Interpret(m)
	}
	t.pid, t.errno = pid, e
}
