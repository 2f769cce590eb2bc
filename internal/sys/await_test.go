package sys

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAwaitMissesNothing: what is written before the end is seen with it, whenever it is written.
// An eventfd has an end that is as quick as the write before it.
func TestAwaitMissesNothing(t *testing.T) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	end, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 30000
	var round, done atomic.Int64
	go func() {
		word := [8]byte{1}
		for i := int64(1); i <= rounds; i++ {
			for round.Load() < i {
				runtime.Gosched()
			}
			for range i % 97 {
				round.Load() // some nanoseconds, so that each look of poll has its turn
			}
			_, _ = unix.Write(p[1], word[:1])
			_, _ = unix.Write(end, word[:])
			done.Store(i)
		}
	}()
	var buf [8]byte
	for i := int64(1); i <= rounds; i++ {
		round.Store(i)
		data, ended, err := Await(p[0], end, time.Time{})
		if err != nil || ended && !data {
			t.Errorf("round %d: data %v, ended %v, %v", i, data, ended, err)
		}
		for done.Load() < i {
			runtime.Gosched()
		}
		_, _ = unix.Read(p[0], buf[:1])
		_, _ = unix.Read(end, buf[:])
	}
	for _, fd := range []int{p[0], p[1], end} {
		unix.Close(fd)
	}
}

// TestAwait: data, the end, the time, each by itself.
func TestAwait(t *testing.T) {
	var p, q [2]int
	for _, fds := range []*[2]int{&p, &q} {
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fds[0])
		defer unix.Close(fds[1])
	}
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
