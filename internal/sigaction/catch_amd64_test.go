//go:build !plain

package sigaction

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testplain"
	"github.com/hutch-project/hutch/tests/testwait"
)

// next reads what c catches.
func next(t *testing.T, c *Catcher) unix.Signal {
	t.Helper()
	testwait.Readable(t, "a signal is caught", c.Fd)
	var b [1]byte
	if n, err := unix.Read(c.Fd, b[:]); n != 1 || err != nil {
		t.Fatalf("read: %d, %v", n, err)
	}
	return unix.Signal(b[0])
}

// kill sends s to the calling thread, which has handled it when kill returns: one of
// the process may come to any thread, at any time.
func kill(t *testing.T, s unix.Signal) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Tgkill(os.Getpid(), unix.Gettid(), s); err != nil {
		t.Fatal(err)
	}
}

func TestCatch(t *testing.T) {
	ours := []unix.Signal{unix.SIGUSR1, unix.SIGTERM}
	goes := make(chan os.Signal, 8)
	signal.Notify(goes, unix.SIGUSR1)
	defer signal.Stop(goes)
	c, ok := Catch(ours)
	if !ok {
		t.Fatal("Catch refuses")
	}
	if _, ok := Catch(ours); ok {
		t.Error("a second Catcher was made")
	}
	for _, s := range ours {
		kill(t, s)
		if got := next(t, c); got != s {
			t.Errorf("caught %v, want %v", got, s)
		}
	}
	select {
	case s := <-goes:
		t.Errorf("os/signal saw %v", s)
	default:
	}
	kill(t, unix.SIGUSR1)
	c.Stop()
	kill(t, unix.SIGUSR1)
	testwait.Value(t, "os/signal sees a signal after Stop", goes)
	again, ok := Catch(ours)
	if !ok {
		t.Fatal("Catch refuses after Stop")
	}
	defer again.Stop()
	var b [1]byte
	if n, err := unix.Read(again.Fd, b[:]); err != unix.EAGAIN {
		t.Errorf("left over: %d, %v", n, err)
	}
}

// TestCatchLeavesBlockedSignals: a handler of a signal that all threads block would never
// run.
func TestCatchLeavesBlockedSignals(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := testplain.Block(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_, ok := Catch([]unix.Signal{unix.SIGUSR1, unix.SIGTERM})
	if err := testplain.Block(); err != nil {
		t.Fatal(err)
	}
	if ok {
		t.Error("Catch takes a signal that is blocked")
	}
}

// Signals meet threads that run Go code, grow stacks and collect garbage.
func TestCatchUnderLoad(t *testing.T) {
	c, ok := Catch([]unix.Signal{unix.SIGUSR2})
	if !ok {
		t.Fatal("Catch refuses")
	}
	defer c.Stop()
	stop := make(chan struct{})
	ended := make(chan int)
	for range 4 {
		go func() {
			n := 0
			for {
				select {
				case <-stop:
					ended <- n
					return
				default:
					n += deep(100) + len(make([]byte, 1<<16))
				}
			}
		}()
	}
	go func() {
		for range 5 {
			runtime.GC()
		}
		close(stop)
	}()
	for sent := 0; ; sent++ {
		select {
		case <-stop:
			for range 4 {
				<-ended
			}
			if sent == 0 {
				t.Error("no signal was sent")
			}
			return
		default:
		}
		if err := syscall.Kill(os.Getpid(), unix.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		if got := next(t, c); got != unix.SIGUSR2 {
			t.Fatalf("caught %v", got)
		}
	}
}

func deep(n int) int {
	var room [512]byte
	if n == 0 {
		return len(room)
	}
	return deep(n-1) + int(room[n])
}
