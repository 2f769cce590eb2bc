package dbus

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testwait"
)

// TestHandshake has peers that say each of replies in turn, in the parts that "|" divides.
func TestHandshake(t *testing.T) {
	for name, c := range map[string]struct {
		replies []string
		ok      bool
	}{
		"by credentials":            {[]string{"DATA\r\n", "OK 1\r\n"}, true},
		"at once":                   {[]string{"OK 1\r\n"}, true},
		"by the user id":            {[]string{"REJECTED EXTERNAL\r\n", "OK 1\r\n"}, true},
		"refused":                   {[]string{"REJECTED\r\n", "REJECTED\r\n"}, false},
		"asks for ever":             {slices.Repeat([]string{"DATA\r\n"}, 10), false},
		"another protocol":          {[]string{strings.Repeat("x", 5000)}, false},
		"a line in parts":           {[]string{"DA|TA\r|\n", "OK 1\r\n"}, true},
		"silence":                   {nil, false},
		"closed before it has said": {[]string{""}, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				buf := make([]byte, 512)
				for _, r := range c.replies {
					conn.Read(buf)
					for part := range strings.SplitSeq(r, "|") {
						if _, err := io.WriteString(conn, part); err != nil || r == "" {
							return
						}
						time.Sleep(5 * time.Millisecond)
					}
				}
				io.Copy(io.Discard, conn)
			}()
			limit := testwait.Bound()
			if c.replies == nil {
				limit = 300 * time.Millisecond
			}
			conn, err := Dial(path, false, limit)
			if (err == nil) != c.ok {
				t.Errorf("dial: %v, want success %v", err, c.ok)
			}
			if err == nil {
				conn.Close()
			}
		})
	}
}

// TestFullQueue connects to a peer that takes no connections.
func TestFullQueue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listenWithoutRoom(t, path)
	_, err := Dial(path, true, 200*time.Millisecond)
	if !errors.Is(err, ErrTimeout) {
		t.Errorf("got %v, want ErrTimeout", err)
	}
}

func TestNothingStaysOpen(t *testing.T) {
	count := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := count()
	for range 20 {
		if c, err := Dial("/nowhere/bus", true, time.Second); err == nil {
			c.Close()
			t.Fatal("connected to nothing")
		}
	}
	if after := count(); after > before+5 {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

// listenWithoutRoom makes a socket whose queue of connections is full.
func listenWithoutRoom(t *testing.T, path string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for { // as many as there is room for
		one, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(one) })
		if unix.Connect(one, &unix.SockaddrUnix{Name: path}) != nil {
			return
		}
	}
}
