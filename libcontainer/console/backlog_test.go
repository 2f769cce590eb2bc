package console

import (
	"errors"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// full is a socket whose backlog is full, and who has filled it.
func full(t *testing.T) (path string, listener int) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	listener, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(listener) })
	if err := unix.Bind(listener, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(listener, 0); err != nil {
		t.Fatal(err)
	}
	for {
		s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(s) })
		if err = unix.Connect(s, &unix.SockaddrUnix{Name: path}); err == unix.EAGAIN {
			return path, listener
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func asleep(t *testing.T) (*exec.Cmd, int) {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pidfd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); unix.Close(pidfd) })
	return cmd, pidfd
}

// TestSendFdEndsWithTheProcess: a receiver that accepts nothing is waited for as long as
// the processes live that it is for.
func TestSendFdEndsWithTheProcess(t *testing.T) {
	path, _ := full(t)
	_, other := asleep(t)
	child, pidfd := asleep(t)
	got := make(chan error)
	go func() { got <- SendFd(path, 0, "x", other, pidfd) }()
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-got:
		if !errors.Is(err, ErrUnwanted) {
			t.Errorf("got %v, want %v", err, ErrUnwanted)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the receiver is waited for without end")
	}
}

// TestSendFdWaitsForRoom: a receiver that is slow gets it in the end.
func TestSendFdWaitsForRoom(t *testing.T) {
	path, listener := full(t)
	_, pidfd := asleep(t)
	got := make(chan error)
	go func() { got <- SendFd(path, 0, "late", pidfd) }()
	for {
		s, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		// Those that filled the backlog say nothing.
		p := []unix.PollFd{{Fd: int32(s), Events: unix.POLLIN}}
		if n, _ := unix.Poll(p, 100); n == 0 {
			unix.Close(s)
			continue
		}
		fd, text, err := ReceiveFd(s)
		unix.Close(s)
		if err != nil || text != "late" {
			t.Fatalf("got %q, %v", text, err)
		}
		unix.Close(fd)
		break
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}
