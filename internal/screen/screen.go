// Package screen shows pages that are renewed on a terminal, and reads keys.
package screen

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
)

// Screen is a terminal whose lines before come back at its end.
type Screen struct {
	in, out *os.File
	saved   unix.Termios
	signals chan os.Signal
	wake    int // eventfd: a signal has come
}

// ErrNoTerminal is returned where standard input or output is no terminal.
var ErrNoTerminal = errors.New("standard input and output are no terminal")

// Quit is the key that End, Hangup and Terminate, and the key Ctrl-C, stand for.
const Quit = 'q'

// Control sequences of terminals.
//
// Source: console_codes(4); xterm's control sequences, 1049.
const (
	enter = "\x1b[?1049h\x1b[?25l" // another screen, no cursor
	leave = "\x1b[?25h\x1b[?1049l"
	home  = "\x1b[H"
	rest  = "\x1b[K\n" // the rest of the line is empty
	below = "\x1b[J"
)

// Open takes the terminal that in and out are. Keys come one by one and unseen, and so do
// those that would send a signal.
func Open(in, out *os.File) (*Screen, error) {
	s := &Screen{in: in, out: out, signals: make(chan os.Signal, 1)}
	t, err := unix.IoctlGetTermios(int(in.Fd()), unix.TCGETS)
	if err != nil || !isTerminal(out) {
		return nil, ErrNoTerminal
	}
	s.saved = *t
	t.Lflag &^= unix.ICANON | unix.ECHO | unix.ISIG
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if s.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if err := unix.IoctlSetTermios(int(in.Fd()), unix.TCSETS, t); err != nil {
		unix.Close(s.wake)
		return nil, fmt.Errorf("terminal: TCSETS: %w", err)
	}
	signal.Notify(s.signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGWINCH)
	go s.follow()
	_, err = out.WriteString(enter)
	return s, err
}

// isTerminal reports whether f is a terminal.
func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// follow reports each signal by the eventfd: 1 for another size, more for the end.
func (s *Screen) follow() {
	for sig := range s.signals {
		n := byte(2)
		if sig == unix.SIGWINCH {
			n = 1
		}
		_, _ = unix.Write(s.wake, []byte{n, 0, 0, 0, 0, 0, 0, 0})
	}
}

// Size returns the terminal's columns and rows, 80 by 24 where it does not know them.
func (s *Screen) Size() (columns, rows int) {
	ws, err := unix.IoctlGetWinsize(int(s.out.Fd()), unix.TIOCGWINSZ)
	if err != nil || ws.Col == 0 || ws.Row == 0 {
		return 80, 24
	}
	return int(ws.Col), int(ws.Row)
}

// Show writes a page in the place of the one before; the lines fit the size.
func (s *Screen) Show(page string) error {
	lines := strings.Split(strings.TrimSuffix(page, "\n"), "\n")
	if _, rows := s.Size(); len(lines) > rows {
		lines = lines[:rows]
	}
	// No line break behind the last, which would scroll.
	_, err := s.out.WriteString(home + strings.Join(lines, rest) + "\x1b[K" + below)
	return err
}

// Key waits for a key until a time, and returns 0 where none, or another size of the
// terminal, has come; the signals that end programs are Quit.
func (s *Screen) Key(until time.Time) (byte, error) {
	fds := []unix.PollFd{{Fd: int32(s.in.Fd()), Events: unix.POLLIN}, {Fd: int32(s.wake),
		Events: unix.POLLIN}}
	n, err := sys.Poll(fds, until)
	switch {
	case err != nil:
		return 0, fmt.Errorf("poll: %w", err)
	case n == 0:
		return 0, nil
	case fds[1].Revents != 0:
		var b [8]byte
		if _, err := unix.Read(s.wake, b[:]); err == nil && b[0] > 1 {
			return Quit, nil
		}
		return 0, nil
	}
	var b [1]byte
	const interrupt, end = 3, 4 // Ctrl-C, Ctrl-D
	if n, err := sys.Read(int(s.in.Fd()),
		b[:]); n <= 0 || err != nil || b[0] == interrupt || b[0] == end {
		return Quit, nil // the terminal is gone, or so it is meant
	}
	return b[0], nil
}

// Close gives the terminal back.
func (s *Screen) Close() error {
	signal.Stop(s.signals)
	close(s.signals)
	_, err := s.out.WriteString(leave)
	return errors.Join(err, unix.IoctlSetTermios(int(s.in.Fd()), unix.TCSETS, &s.saved),
		unix.Close(s.wake))
}
