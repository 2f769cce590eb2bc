package program

// This file's functions run on a bare thread, beside Go's scheduler and unknown to
// it, and one of them in the child as well: the rules of interp.go hold here too.

import (
	"syscall"
	"unsafe"
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

// onStack is on top of a bare thread's stack, of which the child has a copy.
type onStack struct {
	t *thread // the argument of threadMain: not for the child
	m machine
}

// thread is what a bare thread works on. Its Forker keeps it from the collector.
type thread struct {
	order uint32 // futex; written by the owner
	done  uint32 // futex; 1 when what came of it is there
	tid   uint32 // futex; 0 when the thread has ended and its stack is free

	ahead uint64 // CLONE_NEW flags to make at once; then those that were made
	args  cloneArgs
	m     *machine

	// What came of it.
	pid   uintptr
	pidfd int32
	errno uintptr
}

// threadMain is the thread. It makes the child where it stands, so that the child
// has the thread's stack and namespaces.
//
//go:nosplit
//go:norace
func threadMain(t *thread) {
	if t.ahead != 0 {
		if _, _, e := syscall.RawSyscall6(syscall.SYS_UNSHARE, uintptr(t.ahead), 0, 0, 0, 0, 0); e != 0 {
			t.ahead = 0
		}
	}
	for t.order == orderNone {
		syscall.RawSyscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(&t.order)), futexWaitPrivate, uintptr(orderNone), 0, 0, 0)
	}
	if t.order == orderFork {
		threadFork(t)
		t.done = 1
		syscall.RawSyscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(&t.done)), futexWakePrivate, 1, 0, 0, 0)
	}
	for {
		syscall.RawSyscall6(syscall.SYS_EXIT, 0, 0, 0, 0, 0, 0)
	}
}

//go:nosplit
//go:norace
func threadFork(t *thread) {
	t.args.flags &^= t.ahead
	m := t.m // the child does not have t
	pid, _, e := syscall.RawSyscall6(sysClone3, uintptr(unsafe.Pointer(&t.args)), unsafe.Sizeof(cloneArgs{}), 0, 0, 0, 0)
	if e == 0 && pid == 0 {
		// Else the child would keep its own socket open, and wait forever
		// for a parent that has died.
		syscall.RawSyscall6(syscall.SYS_CLOSE, m.peer, 0, 0, 0, 0, 0)
		interpret(m)
	}
	t.pid, t.errno = pid, uintptr(e)
}
