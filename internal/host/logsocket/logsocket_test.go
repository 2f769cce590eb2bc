package logsocket

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testplain"
)

func TestMain(m *testing.M) { testplain.Main(m) }

// listen makes a socket at a path of the test's own and returns both.
func listen(t *testing.T, kind int) (path string, fd int) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "socket")
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if kind == unix.SOCK_STREAM {
		if err := unix.Listen(fd, 1); err != nil {
			t.Fatal(err)
		}
	}
	return path, fd
}

func receive(t *testing.T, fd int) string {
	t.Helper()
	b := make([]byte, maxMessage*2)
	n, err := unix.Read(fd, b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestJournal(t *testing.T) {
	path, fd := listen(t, unix.SOCK_DGRAM)
	s, err := Journal(path, "web1")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for text, want := range map[string]string{
		"it failed":  "PRIORITY=3\nSYSLOG_IDENTIFIER=hutch\nID=web1\nMESSAGE=it failed\n",
		"two\nlines": "PRIORITY=3\nSYSLOG_IDENTIFIER=hutch\nID=web1\nMESSAGE\n\x09\x00\x00\x00\x00\x00\x00\x00two\nlines\n",
	} {
		if err := s.Send(Error, text); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, fd); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	// A field cannot be forged by what stands in another one.
	if got := journalMessage(Error, "a\nPRIORITY=0", "x"); strings.Contains(got, "ID=a\nPRIORITY=0\n") {
		t.Errorf("got %q", got)
	}
	if err := s.Send(Warning, strings.Repeat("x", 10*maxMessage)); err != nil {
		t.Error(err)
	} else if got := receive(t, fd); len(got) < maxMessage || len(got) > maxMessage+200 {
		t.Errorf("%d bytes of a message that is too long", len(got))
	}
}

func TestSyslog(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.Local)
	if got, want := syslogMessage(now, Warning, "web1", "careful"), "<12>Mar  4 05:06:07 web1: careful"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for kind, end := range map[int]string{unix.SOCK_DGRAM: " web1: done", unix.SOCK_STREAM: " web1: done\x00"} {
		path, fd := listen(t, kind)
		s, err := Syslog(path, "web1")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Send(Debug, "done"); err != nil {
			t.Fatal(err)
		}
		if kind == unix.SOCK_STREAM {
			if fd, _, err = unix.Accept(fd); err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
		}
		if got := receive(t, fd); !strings.HasPrefix(got, "<15>") || !strings.HasSuffix(got, end) {
			t.Errorf("got %q", got)
		}
	}
}

// TestNobodyListens: a log that nobody takes is an error that names its socket.
func TestNobodyListens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")
	for _, open := range []func(string, string) (*Socket, error){Journal, Syslog} {
		if _, err := open(path, "id"); !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v", err)
		}
	}
}

// TestDaemonThatTakesNothing: a daemon that stands still keeps nobody waiting for ever, neither
// for its queue of messages nor for its backlog of connections.
func TestDaemonThatTakesNothing(t *testing.T) {
	wait := sendWait
	sendWait = 20 * time.Millisecond
	defer func() { sendWait = wait }()
	const most = 10_000 // more than a queue has, or a backlog
	path, _ := listen(t, unix.SOCK_DGRAM)
	s, err := Journal(path, "web1")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for n := 0; err == nil; n++ {
		if n == most {
			t.Fatal("the queue takes all")
		}
		err = s.Send(Error, "it failed")
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Errorf("a full queue: %v", err)
	}
	path, _ = listen(t, unix.SOCK_STREAM)
	err = nil
	for n := 0; err == nil; n++ {
		if n == most {
			t.Fatal("the backlog takes all")
		}
		var s *Socket
		if s, err = Syslog(path, "web1"); err == nil {
			defer s.Close()
		}
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Errorf("a full backlog: %v", err)
	}
}
