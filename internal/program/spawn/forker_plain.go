//go:build !(amd64 || arm64) || plain || race

package spawn

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// forker is the thread of a goroutine that is locked to it.
type forker struct {
	ask   chan func(unshared uint64)
	ended chan struct{}
	pidfd int32 // where clone3 stores it: a variable could lie on a stack, which may move before the clone
}

func (f *forker) start(unshareEarly uint64) {
	f.ask, f.ended = make(chan func(uint64)), make(chan struct{})
	go f.run(f.ask, unshareEarly)
}

func (f *forker) run(ask chan func(uint64), unshareEarly uint64) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The main thread cannot end before the process: hold it, so that the
		// thread is another one.
		go f.run(ask, unshareEarly)
		<-f.ended
		runtime.UnlockOSThread()
		return
	}
	defer close(f.ended)
	// Never unlocked: the thread ends with this goroutine.
	if unshareEarly != 0 && unix.Unshare(int(unshareEarly)) != nil {
		unshareEarly = 0
	}
	if do, ok := <-ask; ok {
		do(unshareEarly)
	}
}

func (f *forker) end() {
	if f.ask != nil {
		close(f.ask)
		f.ask = nil
	}
}

// clone makes the child, and calls whileForking.
func (f *forker) clone(how *cloning, m *program.Machine, whileForking func()) (pid, pidfd int, err error) {
	if f.ask == nil {
		return 0, -1, fmt.Errorf("program: the Forker is closed")
	}
	done := make(chan struct{})
	f.pidfd = -1
	how.args.pidfd = uint64(uintptr(unsafe.Pointer(&f.pidfd)))
	f.ask <- func(unshared uint64) {
		defer close(done)
		how.args.flags &^= unshared
		syscall.ForkLock.Lock()
		n, errno := fork(how, m)
		syscall.ForkLock.Unlock()
		if errno != 0 {
			err = fmt.Errorf("%s: %w", how.name(), errno)
		}
		pid = int(n)
	}
	f.end()
	whileForking()
	<-done
	return pid, int(f.pidfd), err
}
