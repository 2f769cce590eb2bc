// Package testwait is how tests wait. Each wait is for an event, and has the same
// generous bound, which says that the event does not come, not that the machine is
// slow. At the bound the test fails, with what it waited for and the stacks of all
// goroutines.
//
// Only tests import it.
package testwait

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bound is how long an event is waited for. variable gives another one, for a
// machine that is slower than any on which tests are usually run.
const (
	bound    = 3 * time.Minute
	variable = "HUTCH_TEST_BOUND"
)

// Bound returns how long any event is waited for.
func Bound() time.Duration {
	if d, err := time.ParseDuration(os.Getenv(variable)); err == nil && d > 0 {
		return d
	}
	return bound
}

// Deadline returns when a wait that begins now is given up, for what takes a time.
func Deadline() time.Time { return time.Now().Add(Bound()) }

// Context returns one that ends at the bound, and with the test.
func Context(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Bound())
	t.Cleanup(cancel)
	return ctx
}

// Until polls until holds reports true.
func Until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	Poll(t, func() string { return what }, holds)
}

// Poll is Until for a description that is made at the bound.
func Poll(t testing.TB, what func() string, holds func() bool) {
	t.Helper()
	pause := time.Millisecond
	for end := Deadline(); !holds(); time.Sleep(pause) {
		if time.Now().After(end) {
			Failed(t, what())
		}
		// Whatever is waited for may need the processor.
		pause = min(pause+pause/4, 20*time.Millisecond)
	}
}

// Value returns the next value of c, or the zero value when it is closed.
func Value[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	timer := time.NewTimer(Bound())
	defer timer.Stop()
	select {
	case v := <-c:
		return v
	case <-timer.C:
	}
	Failed(t, what)
	panic("unreachable")
}

// Event waits until fd has one of events, an error, or its other end is closed, and
// returns what it has.
func Event(t testing.TB, what string, fd int, events int16) int16 {
	t.Helper()
	got, err := event(fd, events)
	if err != nil {
		t.Fatalf("%s: poll: %v", what, err)
	}
	if got == 0 {
		Failed(t, what)
	}
	return got
}

// event is Event; 0 is the bound.
func event(fd int, events int16) (int16, error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for end := Deadline(); ; {
		// Rounded up: a rest of less than a millisecond is no reason to spin.
		rest := time.Until(end)/time.Millisecond + 1
		n, err := unix.Poll(fds, int(max(rest, 0)))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n > 0 && fds[0].Revents&unix.POLLNVAL != 0:
			return 0, unix.EBADF
		case n > 0:
			return fds[0].Revents, nil
		case rest <= 0 || time.Now().After(end):
			return 0, nil
		}
	}
}

// Readable waits until a read of fd does not block.
func Readable(t testing.TB, what string, fd int) {
	t.Helper()
	Event(t, what, fd, unix.POLLIN)
}

// Now reports, without a wait, whether a read of fd would not block.
func Now(t testing.TB, fd int) bool {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n > 0 && fds[0].Revents&unix.POLLNVAL != 0 {
			t.Fatalf("poll of descriptor %d: %v, %#x", fd, err, fds[0].Revents)
		}
		return n > 0
	}
}

// End waits for the end of a process, whoever its parent is. One that is waited for
// too long is killed.
func End(t testing.TB, what string, pid int) {
	t.Helper()
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return
	}
	if err != nil {
		t.Fatalf("%s: pidfd_open of process %d: %v", what, pid, err)
	}
	defer unix.Close(pidfd)
	EndOf(t, fmt.Sprintf("%s (process %d)", what, pid), pidfd)
}

// EndOf is End for the process of pidfd.
func EndOf(t testing.TB, what string, pidfd int) {
	t.Helper()
	got, err := event(pidfd, unix.POLLIN)
	if err != nil {
		t.Fatalf("%s: poll: %v", what, err)
	}
	if got == 0 {
		_ = unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0)
		Failed(t, what)
	}
}

// Command waits for cmd, which runs, and returns what Wait does. One that does not
// end is killed.
func Command(t testing.TB, cmd *exec.Cmd) error {
	t.Helper()
	got := make(chan error, 1)
	go func() { got <- cmd.Wait() }()
	timer := time.NewTimer(Bound())
	defer timer.Stop()
	select {
	case err := <-got:
		return err
	case <-timer.C:
	}
	_ = cmd.Process.Kill()
	Failed(t, fmt.Sprintf("the end of %s", cmd))
	panic("unreachable")
}

// Failed fails the test for what has not come. The goroutine must be the test's.
func Failed(t testing.TB, what string) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	t.Fatalf("waited %v in vain: %s\n\n%s", Bound(), what, stacks)
}
