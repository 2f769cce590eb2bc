//go:build !amd64

package program

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Forker is a thread that makes one child and ends. What a thread has and its
// child inherits can be made ahead on it, while the caller does other work: a
// network namespace takes the kernel longer than all other namespaces together.
type Forker struct {
	ask   chan func(ahead uint64)
	ended chan struct{}
	pidfd int32 // where clone3 stores it: a variable could lie on a stack, which may move before the clone
}

// NewForker starts the thread, which makes the namespaces of the CLONE_NEW flags
// ahead; what it cannot make is left to clone3. The caller gives the Forker to
// Spawn and closes it.
//
// A user namespace, which would own the others, and a pid namespace, which a
// thread does not enter itself, cannot be made ahead.
//
// Source: unshare(2); clone(2).
func NewForker(ahead uint64) *Forker {
	f := &Forker{ask: make(chan func(uint64)), ended: make(chan struct{})}
	go f.run(ahead)
	return f
}

func (f *Forker) run(ahead uint64) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The main thread cannot end before the process: hold it, so that the
		// thread is another one.
		go f.run(ahead)
		<-f.ended
		runtime.UnlockOSThread()
		return
	}
	defer close(f.ended)
	// Never unlocked: the thread ends with this goroutine.
	if ahead != 0 && unix.Unshare(int(ahead)) != nil {
		ahead = 0
	}
	if do, ok := <-f.ask; ok {
		do(ahead)
	}
}

// Close ends the thread. A nil Forker, and one that has made its child, may be
// closed too.
func (f *Forker) Close() {
	if f != nil && f.ask != nil {
		close(f.ask)
		f.ask = nil
	}
}

// clone makes the child, and calls meanwhile.
func (f *Forker) clone(args *cloneArgs, m *machine, meanwhile func()) (pid, pidfd int, err error) {
	done := make(chan struct{})
	f.pidfd = -1
	args.pidfd = uint64(uintptr(unsafe.Pointer(&f.pidfd)))
	f.ask <- func(ahead uint64) {
		defer close(done)
		args.flags &^= ahead
		syscall.ForkLock.Lock()
		n, errno := fork(args, m)
		syscall.ForkLock.Unlock()
		if errno != 0 {
			err = fmt.Errorf("clone3: %w", errno)
		}
		pid = int(n)
	}
	f.Close()
	meanwhile()
	<-done
	return pid, int(f.pidfd), err
}
