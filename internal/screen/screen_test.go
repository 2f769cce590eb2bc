package screen

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testplain"
	"github.com/hutch-project/hutch/tests/testpty"
)

func TestMain(m *testing.M) { testplain.Main(m) }

// pty returns both sides of a terminal of 20 columns and 3 rows.
func pty(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, slave = testpty.Open(t)
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 3, Col: 20}); err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// TestScreen: pages are shown, cut to the rows; keys come one by one; the terminal is as
// before at the end.
func TestScreen(t *testing.T) {
	master, slave := pty(t)
	before, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(slave, slave)
	if err != nil {
		t.Fatal(err)
	}
	if c, r := s.Size(); c != 20 || r != 3 {
		t.Errorf("size %d, %d", c, r)
	}
	if err := s.Show("one\ntwo\nthree\nfour\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := master.WriteString("m\x03"); err != nil {
		t.Fatal(err)
	}
	far := time.Now().Add(time.Hour)
	for _, want := range []byte{'m', Quit} {
		if key, err := s.Key(far); key != want || err != nil {
			t.Errorf("key %q, %v, want %q", key, err, want)
		}
	}
	if key, err := s.Key(time.Now()); key != 0 || err != nil {
		t.Errorf("key %q, %v, though none has come", key, err)
	}
	s.signals <- unix.SIGWINCH
	if key, err := s.Key(far); key != 0 || err != nil {
		t.Errorf("another size: %q, %v", key, err)
	}
	s.signals <- unix.SIGTERM
	if key, err := s.Key(far); key != Quit || err != nil {
		t.Errorf("SIGTERM: %q, %v", key, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	after, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("the terminal is not as before: %+v, %v", after, err)
	}
	text, buf := "", make([]byte, 4096)
	for !strings.HasSuffix(text, leave) { // which has been written
		n, err := master.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		text += string(buf[:n])
	}
	if !strings.HasPrefix(text, enter+home+"one\x1b[K\r\n") || !strings.Contains(text, "three\x1b[K") || strings.Contains(text, "four") {
		t.Errorf("got %q", text)
	}
}

func TestNoTerminal(t *testing.T) {
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Open(f, f); !errors.Is(err, ErrNoTerminal) {
		t.Errorf("got %v", err)
	}
}
