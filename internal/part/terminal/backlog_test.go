package terminal

import (
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testproc"
	"github.com/hutch-project/hutch/tests/testwait"
)

// full returns a socket whose backlog is full. Those that have filled it say nothing, and
// leave when leave is called.
func full(t *testing.T) (path string, listener int, leave func()) {
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
	var all []int
	leave = func() {
		for _, s := range all {
			unix.Close(s)
		}
		all = nil
	}
	t.Cleanup(func() { leave() })
	for {
		s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
		if err = unix.Connect(s, &unix.SockaddrUnix{Name: path}); err == unix.EAGAIN {
			return path, listener, leave
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestSendFdEndsWithTheProcess: a receiver that accepts nothing is waited for as long as
// the processes live that it is for.
func TestSendFdEndsWithTheProcess(t *testing.T) {
	path, _, _ := full(t)
	_, other := testproc.Sleeper(t)
	child, pidfd := testproc.Sleeper(t)
	got := make(chan error)
	go func() { got <- SendFd(path, 0, "x", other, pidfd) }()
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := testwait.Value(t, "the end of the wait for a receiver whose process has ended", got); !errors.Is(err, ErrUnwanted) {
		t.Errorf("got %v, want %v", err, ErrUnwanted)
	}
}

// TestSendFdWaitsForRoom: a receiver that is slow gets it in the end.
func TestSendFdWaitsForRoom(t *testing.T) {
	path, listener, leave := full(t)
	_, pidfd := testproc.Sleeper(t)
	got := make(chan error)
	go func() { got <- SendFd(path, 0, "late", pidfd) }()
	leave()
	for {
		testwait.Readable(t, "a connection", listener)
		s, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		// Of those that filled the backlog there is the end to read, and nothing else.
		testwait.Readable(t, "a message or the end of a connection", s)
		if n, _, err := unix.Recvfrom(s, make([]byte, 1), unix.MSG_PEEK); n <= 0 {
			unix.Close(s)
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		fd, text, err := receiveFd(s)
		unix.Close(s)
		if err != nil || text != "late" {
			t.Fatalf("got %q, %v", text, err)
		}
		unix.Close(fd)
		break
	}
	if err := testwait.Value(t, "the end of SendFd", got); err != nil {
		t.Error(err)
	}
}
