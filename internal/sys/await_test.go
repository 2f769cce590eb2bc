package sys

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pipe returns the ends of a pipe, to read and to write, which the test's end closes.
func pipe(t *testing.T) (fds [2]int) {
	t.Helper()
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds
}

// TestAwaitMissesNothing: what is written between the looks at the two descriptors is seen with
// the end.
func TestAwaitMissesNothing(t *testing.T) {
	p, q := pipe(t), pipe(t)
	unlucky := func(fds []unix.PollFd, until time.Time) (int, error) {
		if len(fds) == 1 {
			return Poll(fds, until)
		}
		if _, err := Poll(fds[:1], time.Unix(0, 0)); err != nil {
			return 0, err
		}
		_, _ = unix.Write(p[1], []byte("x"))
		_, _ = unix.Write(q[1], []byte("x"))
		return Poll(fds[1:], until)
	}
	if data, ended, err := await(unlucky, p[0], q[0], time.Time{}); !data || !ended || err != nil {
		t.Errorf("data %v, ended %v, %v", data, ended, err)
	}
}

// TestAwait: data, the end, the time, each by itself.
func TestAwait(t *testing.T) {
	p, q := pipe(t), pipe(t)
	check := func(what string, pidfd int, until time.Time, data, ended bool) {
		t.Helper()
		if d, e, err := Await(p[0], pidfd, until); d != data || e != ended || err != nil {
			t.Errorf("%s: data %v, ended %v, %v", what, d, e, err)
		}
	}
	check("the time is over", q[0], time.Unix(0, 0), false, false)
	_, _ = unix.Write(q[1], []byte("x"))
	check("the end", q[0], time.Time{}, false, true)
	_, _ = unix.Write(p[1], []byte("x"))
	check("both", q[0], time.Time{}, true, true)
	check("data, and no process", -1, time.Time{}, true, false)
}
