package libcontainer

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/proc"
)

// ExitStatus is how a process has ended.
type ExitStatus struct {
	// Code is the exit status, from 0 to 255, 128+n of a process that signal n has ended,
	// as shells have it, and -1 where it is not known.
	Code int
	// Signal is the signal that has ended the process, 0 where none has.
	Signal syscall.Signal
}

// unknownStatus is that of a process of which nothing is known.
var unknownStatus = ExitStatus{Code: -1}

func newExitStatus(ws syscall.WaitStatus) ExitStatus {
	if ws.Signaled() {
		return ExitStatus{Code: 128 + int(ws.Signal()), Signal: ws.Signal()}
	}
	return ExitStatus{Code: ws.ExitStatus()}
}

// Process is a process of a container: its init, or one that Exec has made.
type Process struct {
	pid      int
	pidfd    *os.File // closed when the process has been waited for
	child    bool     // of this program
	terminal *os.File
	streams  *streams
	delay    time.Duration

	begin sync.Once     // of watch
	ended chan struct{} // closed when the process has been waited for
	done  chan struct{} // closed when the streams are copied, too

	status ExitStatus // with err, before done is closed
	err    error
}

// newProcess takes a child of this program, with its pidfd, and begins to wait for it.
func newProcess(pid, pidfd int, terminal *os.File, s *streams, delay time.Duration) *Process {
	p := otherProcess(pid, pidfd)
	p.terminal, p.streams, p.delay = terminal, s, delay
	p.child = true
	s.start()
	p.begin.Do(func() { go p.watch() })
	return p
}

// otherProcess is a process that others have made, or that has ended where pidfd is -1.
func otherProcess(pid, pidfd int) *Process {
	p := &Process{pid: pid, ended: make(chan struct{}), done: make(chan struct{})}
	if pidfd >= 0 {
		// Not blocking, so that a wait for its end is one of Go's poller and not a thread.
		_ = unix.SetNonblock(pidfd, true)
		p.pidfd = os.NewFile(uintptr(pidfd), "pidfd")
	}
	return p
}

// Pid returns the process id in this program's pid namespace. When the process has ended
// the number may be that of another one: send signals by Signal.
func (p *Process) Pid() int { return p.pid }

// Terminal returns the master of the process's terminal, nil where process.terminal is not
// set. It is the caller's to read, write, resize and close; the process gets SIGHUP when
// it is closed.
func (p *Process) Terminal() *os.File { return p.terminal }

// Signal sends sig to the process alone. The error is ErrNotRunning, wrapped, when it has
// ended.
func (p *Process) Signal(sig syscall.Signal) error {
	err := error(unix.ESRCH)
	if p.pidfd != nil {
		err = control(p.pidfd, func(fd int) error { return unix.PidfdSendSignal(fd, sig, nil, 0) })
	}
	var errno syscall.Errno
	if err != nil && (!errors.As(err, &errno) || errno == unix.ESRCH) { // else the pidfd is closed
		err = ErrNotRunning
	}
	return wrap("kill", "", err)
}

// Wait waits until the process has ended and its streams are copied, and returns how it has
// ended. Any number of goroutines may wait, each as often as it likes: all get the same.
//
// The error is that of ctx, wrapped, when it ends first: the process runs on. It is
// ErrStatusUnknown, wrapped, when how the process has ended cannot be known; the error of a
// Reader or a Writer of the process's streams, and exec.ErrWaitDelay when they were
// given up after WaitDelay: with these two the status is that of the process.
func (p *Process) Wait(ctx context.Context) (ExitStatus, error) {
	p.begin.Do(func() { go p.watch() })
	select { // what has ended is returned whatever ctx says
	case <-p.done:
		return p.status, wrap("wait", "", p.err)
	default:
	}
	select {
	case <-p.done:
		return p.status, wrap("wait", "", p.err)
	case <-ctx.Done():
		return unknownStatus, wrap("wait", "", ctx.Err())
	}
}

// watch waits for the process and its streams.
func (p *Process) watch() {
	p.status, p.err = p.reap()
	close(p.ended)
	if err := p.streams.finish(p.delay); p.err == nil {
		p.err = err
	}
	close(p.done)
}

// reap waits for the process, and returns how it has ended.
func (p *Process) reap() (ExitStatus, error) {
	if p.pidfd == nil {
		return unknownStatus, ErrStatusUnknown
	}
	defer p.pidfd.Close()
	awaitReadable(p.pidfd)
	status, err := unknownStatus, ErrStatusUnknown
	_ = control(p.pidfd, func(fd int) error {
		if p.child { // not by os.Process, whose Wait a tracer of the child holds up
			if ws, waitErr := proc.Wait(p.pid, fd); waitErr == nil {
				status, err = newExitStatus(syscall.WaitStatus(ws)), nil
				return nil
			}
		}
		if ws, known := proc.ExitOf(fd); known {
			status, err = newExitStatus(syscall.WaitStatus(ws)), nil
		}
		return nil
	})
	return status, err
}

// awaitReadable waits until f is readable, without a thread.
func awaitReadable(f *os.File) {
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(fd uintptr) bool {
		for {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			if err != unix.EINTR {
				return n != 0 || err != nil
			}
		}
	})
}

// control calls do with the descriptor of f, which stays open until it returns.
func control(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var done error
	if err := raw.Control(func(fd uintptr) { done = do(int(fd)) }); err != nil {
		return err
	}
	return done
}

func closeFd(fd int) {
	if fd >= 0 {
		unix.Close(fd)
	}
}
