package program

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Forker is a thread that makes one child and ends. What a thread has and its
// child inherits can be made ahead on it, while the caller does other work: a
// network namespace takes the kernel longer than all other namespaces together.
//
// It is a thread of the kernel's, unknown to Go's scheduler. A goroutine would wait
// for one of the scheduler's threads, which the kernel often wakes behind the
// caller, where it ran last; a new thread goes to the processor with least to do.
type Forker struct {
	t     *thread
	stack []byte
	err   error
}

// stackSize is what the thread and the child run on: nosplit functions, whose
// depth the linker bounds to some hundreds of bytes.
const stackSize = 4096

// NewForker starts the thread, which makes the namespaces of the CLONE_NEW flags
// ahead; what it cannot make is left to clone3. The caller gives the Forker to
// Spawn and closes it.
//
// A user namespace, which would own the others, and a pid namespace, which a
// thread does not enter itself, cannot be made ahead.
//
// Source: unshare(2); clone(2).
func NewForker(ahead uint64) *Forker {
	stack, err := unix.Mmap(-1, 0, stackSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return &Forker{err: fmt.Errorf("make a stack for a thread: mmap: %w", err)}
	}
	top := (*onStack)(unsafe.Pointer(&stack[stackSize-unsafe.Sizeof(onStack{})]))
	t := &thread{ahead: ahead, tid: 1, m: &top.m}
	top.t = t
	if r := startThread(unsafe.Pointer(top), &t.tid); int(r) < 0 {
		_ = unix.Munmap(stack)
		return &Forker{err: fmt.Errorf("make a thread: clone: %w", syscall.Errno(-int(r)))}
	}
	return &Forker{t: t, stack: stack}
}

// cloneThread makes a thread that runs threadMain. stack points to an onStack.
func cloneThread(flags uintptr, stack unsafe.Pointer, tid *uint32) uintptr

var _ = threadMain // which cloneThread calls

// startThread makes a thread that takes no signal.
//
//go:nosplit
//go:norace
func startThread(stack unsafe.Pointer, tid *uint32) uintptr {
	runtimeBeforeFork()
	r := cloneThread(syscall.CLONE_VM|syscall.CLONE_FS|syscall.CLONE_FILES|syscall.CLONE_SIGHAND|syscall.CLONE_THREAD|
		syscall.CLONE_SYSVSEM|syscall.CLONE_CHILD_CLEARTID, stack, tid)
	runtimeAfterFork()
	return r
}

// clone makes the child, and calls meanwhile.
func (f *Forker) clone(args *cloneArgs, m *machine, meanwhile func()) (pid, pidfd int, err error) {
	switch {
	case f.err != nil:
		return 0, -1, f.err
	case f.t == nil:
		return 0, -1, errors.New("program: the Forker is closed")
	}
	t := f.t
	*t.m, t.args = *m, *args
	t.args.pidfd = uint64(uintptr(unsafe.Pointer(&t.pidfd)))
	syscall.ForkLock.Lock()
	memory := memoryOf(m, f.stack)
	memory.keep()
	f.order(orderFork)
	meanwhile()
	wait(&t.done, 0, futexWaitPrivate)
	memory.give()
	syscall.ForkLock.Unlock()
	if t.errno != 0 {
		return 0, -1, fmt.Errorf("clone3: %w", syscall.Errno(t.errno))
	}
	return int(t.pid), int(t.pidfd), nil
}

func (f *Forker) order(what uint32) {
	if atomic.CompareAndSwapUint32(&f.t.order, orderNone, what) {
		_, _, _ = syscall.RawSyscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(&f.t.order)), futexWakePrivate, 1, 0, 0, 0)
	}
}

// wait blocks while *p is v.
func wait(p *uint32, v uint32, op uintptr) {
	for atomic.LoadUint32(p) == v {
		_, _, _ = syscall.Syscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(p)), op, uintptr(v), 0, 0, 0)
	}
}

// Close waits for the end of the thread. A nil Forker, and one that is closed,
// may be closed too.
func (f *Forker) Close() {
	if f == nil || f.t == nil {
		return
	}
	f.order(orderEnd)
	wait(&f.t.tid, 1, 0) // which the kernel clears: FUTEX_WAIT, not private
	_ = unix.Munmap(f.stack)
	f.t, f.stack = nil, nil
}
