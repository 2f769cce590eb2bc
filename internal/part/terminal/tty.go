package terminal

import (
	"golang.org/x/sys/unix"
)

// ownTerminal returns a descriptor of the runtime's own terminal, close-on-exec and
// the caller's, or -1: standard error, output or input, whichever is one, else the
// controlling terminal.
func ownTerminal() int {
	for _, fd := range [...]int{2, 1, 0} {
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
			if dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3); err == nil {
				return dup
			}
		}
	}
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}

// raw returns the mode in which t passes each byte of input on as it is. Output
// processing stays: the container's terminal leaves newlines alone (clearONLCR),
// so that a pipe gets them unchanged and a terminal adds the carriage return.
//
// Source: termios(3), cfmakeraw.
func raw(t unix.Termios) unix.Termios {
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag &^= unix.CSIZE | unix.PARENB
	t.Cflag |= unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return t
}

// clearONLCR makes the terminal of ptmx leave newlines alone.
func clearONLCR(ptmx int) error {
	t, err := unix.IoctlGetTermios(ptmx, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Oflag &^= unix.ONLCR
	return unix.IoctlSetTermios(ptmx, unix.TCSETS, t)
}

// copySize gives the terminal to the size of the terminal from. A size of zero,
// which a terminal has that nobody has sized, is left alone.
func copySize(from, to int) {
	if w, err := unix.IoctlGetWinsize(from, unix.TIOCGWINSZ); err == nil && w.Row > 0 && w.Col > 0 {
		_ = unix.IoctlSetWinsize(to, unix.TIOCSWINSZ, w) // the old size does no harm
	}
}
