//go:build !plain

package sigaction

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Catcher catches signals past os/signal: a handler of ours writes each to a
// pipe. os/signal needs four changes of thread to begin with a signal; this needs
// one system call. Go's own handler does not see the signals meanwhile.
type Catcher struct {
	// Fd gives a byte for each signal, its number. It does not block, and stays
	// open for the next Catcher.
	Fd      int
	signals []unix.Signal
	former  []action
}

// action is the kernel's struct sigaction.
type action struct {
	handler, flags, restorer, mask uint64
}

var (
	inUse    atomic.Bool
	readEnd  int
	writeEnd int32 // 0 before the first Catcher
)

// handlers returns the addresses of the handler and of what it returns to.
func handlers() (handler, restorer uintptr)

// Catch begins to catch signals, which must not be those of a fault in the
// program. ok is false where that cannot be had: another Catcher is at work, or the
// caller of the program has blocked one, in all threads. os/signal has a thread that
// unblocks what it catches.
//
// Source: rt_sigaction(2), rt_sigprocmask(2); signal-safety(7).
func Catch(signals []unix.Signal) (c *Catcher, ok bool) {
	if blocked(signals) || !inUse.CompareAndSwap(false, true) {
		return nil, false
	}
	if writeEnd == 0 {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
			inUse.Store(false)
			return nil, false
		}
		readEnd, writeEnd = p[0], int32(p[1])
	}
	const restorer, onStack, restart = 0x04000000, 0x08000000, 0x10000000 // SA_RESTORER, …
	h, r := handlers()
	a := action{uint64(h), restorer | onStack | restart, uint64(r), ^uint64(0)}
	c = &Catcher{readEnd, signals, make([]action, len(signals))}
	for i, s := range signals {
		set(s, &a, &c.former[i])
	}
	return c, true
}

// Stop gives the signals their former effect. What is in Fd is lost.
func (c *Catcher) Stop() {
	for i, s := range c.signals {
		set(s, &c.former[i], nil)
	}
	var rest [64]byte
	for {
		if n, err := unix.Read(c.Fd, rest[:]); n <= 0 && err != unix.EINTR {
			break
		}
	}
	inUse.Store(false)
}

// blocked reports whether the calling thread blocks any of signals; in an unknown mask
// it blocks all.
func blocked(signals []unix.Signal) bool {
	mask := ^uint64(0)
	_, _, _ = syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_BLOCK, 0, uintptr(unsafe.Pointer(&mask)), SetSize, 0, 0)
	for _, s := range signals {
		if mask>>(s-1)&1 != 0 {
			return true
		}
	}
	return false
}

func set(s unix.Signal, a, former *action) {
	_, _, _ = syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(a)), uintptr(unsafe.Pointer(former)), SetSize, 0, 0)
}
