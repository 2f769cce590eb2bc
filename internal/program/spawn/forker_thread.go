//go:build (amd64 || arm64) && !plain && !race

package spawn

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// forker is a bare thread. A goroutine would wait for one of the scheduler's threads,
// which the kernel often wakes behind the caller, where it ran last; a new thread goes
// to the processor with least to do.
type forker struct {
	t     *thread
	stack []byte
	err   error
}

func (f *forker) start(unshareEarly uint64) {
	// A page is enough for the thread and the child: nosplit functions, whose depth
	// the linker bounds to some hundreds of bytes. The frame of a signal that ends the child
	// (sigaction.Ending) takes up to 12 KiB more; what nobody touches costs nothing.
	stack, err := unix.Mmap(-1, 0, max(os.Getpagesize(), 16<<10), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		f.err = fmt.Errorf("make a stack for a thread: mmap: %w", err)
		return
	}
	at := (len(stack) - int(unsafe.Sizeof(onStack{}))) &^ (stackAlign - 1)
	top := (*onStack)(unsafe.Pointer(&stack[at]))
	t := &thread{unshareEarly: unshareEarly, tid: 1, m: &top.m}
	top.t = t
	if r := startThread(unsafe.Pointer(top), &t.tid); int(r) < 0 {
		_ = unix.Munmap(stack)
		f.err = fmt.Errorf("make a thread: clone: %w", syscall.Errno(-int(r)))
		return
	}
	f.t, f.stack = t, stack
}

// cloneThread makes a thread that runs threadMain. stack points to an onStack.
func cloneThread(flags uintptr, stack unsafe.Pointer, tid *uint32) uintptr

// loadAcquire and storeRelease are those of sync/atomic, whose functions call the race
// detector's where there is one: that wants a goroutine.

//go:noescape
func loadAcquire(p *uint32) uint32

//go:noescape
func storeRelease(p *uint32, v uint32)

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

// clone makes the child, and calls whileForking.
func (f *forker) clone(how *cloning, m *program.Machine, whileForking func()) (pid, pidfd int, err error) {
	switch {
	case f.err != nil:
		return 0, -1, f.err
	case f.t == nil:
		return 0, -1, errors.New("program: the Forker is closed")
	}
	t := f.t
	*t.m, t.how = *m, *how
	t.how.args.pidfd = uint64(uintptr(unsafe.Pointer(&t.pidfd)))
	syscall.ForkLock.Lock()
	memory := memoryOf(m, f.stack)
	memory.withhold()
	f.order(orderFork)
	whileForking()
	wait(&t.done, 0, futexWaitPrivate)
	memory.giveBack()
	syscall.ForkLock.Unlock()
	if t.errno != 0 {
		return 0, -1, fmt.Errorf("%s: %w", how.name(), t.errno)
	}
	return int(t.pid), int(t.pidfd), nil
}

func (f *forker) order(what uint32) {
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

func (f *forker) end() {
	if f.t == nil {
		return
	}
	f.order(orderEnd)
	wait(&f.t.tid, 1, 0) // which the kernel clears: FUTEX_WAIT, not private
	_ = unix.Munmap(f.stack)
	f.t, f.stack = nil, nil
}
