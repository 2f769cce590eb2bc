package hook

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/proc"
)

// attendance feeds a hook its input, keeps the end of its output and waits for
// its end, all in one poll loop.
type attendance struct {
	stdin, stdout *os.File // the hook's ends, until it is started
	in, out       int      // ours, not blocking; -1 when closed
	rest          []byte   // of the input
	pidfd, pid    int
	init          int         // pidfd of the container's init, or -1
	deleted       func() bool // may be nil
	tail          tail
	output        *Output
}

func newAttendance(state []byte, opts *Options) (*attendance, error) {
	var in, out [2]int
	if err := unix.Pipe2(in[:], unix.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("pipe2: %w", err)
	}
	if err := unix.Pipe2(out[:], unix.O_CLOEXEC); err != nil {
		unix.Close(in[0])
		unix.Close(in[1])
		return nil, fmt.Errorf("pipe2: %w", err)
	}
	a := &attendance{
		stdin: os.NewFile(uintptr(in[0]), "standard input of the hook"), in: in[1],
		stdout: os.NewFile(uintptr(out[1]), "standard output of the hook"), out: out[0],
		rest: state, pidfd: -1, init: -1, deleted: opts.Deleted, output: &opts.Output,
	}
	if opts.Init != nil {
		a.init = *opts.Init
	}
	for _, fd := range [...]int{a.in, a.out} {
		if err := unix.SetNonblock(fd, true); err != nil {
			a.close()
			return nil, fmt.Errorf("fcntl O_NONBLOCK: %w", err)
		}
	}
	return a, nil
}

// started closes the hook's ends here, so that the loop sees it close its own.
func (a *attendance) started() {
	if a.stdin != nil {
		a.stdin.Close()
		a.stdout.Close()
		a.stdin, a.stdout = nil, nil
	}
}

func (a *attendance) close() {
	a.started()
	shut(&a.in)
	shut(&a.out)
	shut(&a.pidfd)
}

func shut(fd *int) {
	if *fd >= 0 {
		unix.Close(*fd)
		*fd = -1
	}
}

// reapTime is how long a killed hook may take to end: one in uninterruptible
// sleep may stay longer, and then is left to its fate.
const reapTime = 10 * time.Second

// attend waits for the hook's end and judges it.
func (a *attendance) attend(h *specs.Hook) error {
	limit := time.Duration(-1)
	if h.Timeout != nil {
		limit = time.Duration(*h.Timeout) * time.Second
	}
	ended, err := a.untilEnd(limit)
	if err != nil {
		a.kill()
		return fmt.Errorf("run %s: %w", fault.Line(h.Path), err)
	}
	if !ended {
		a.kill()
		return late(h, &a.tail, a.output)
	}
	ws, err := proc.Wait(a.pid, a.pidfd) // a createContainer hook may be traced
	if err != nil {
		return fmt.Errorf("run %s: wait: %w", fault.Line(h.Path), err)
	}
	return judge(h, ws, &a.tail, a.output)
}

// deletedPause is the time between two questions whether the container was deleted:
// the kernel tells nobody who has a directory open that it is removed.
const deletedPause = 100 * time.Millisecond

// untilEnd serves the hook until its process has ended; false says that the
// limit was reached before. A limit below 0 is none. What the hook has left
// running in the background is not waited for, even if it holds the output open.
func (a *attendance) untilEnd(limit time.Duration) (bool, error) {
	until := time.Now().Add(limit)
	for {
		a.write()
		wait := -1
		if limit >= 0 {
			left := time.Until(until)
			if left <= 0 {
				a.read()
				return false, nil
			}
			wait = int(min(left.Milliseconds()+1, 1<<30))
		}
		if a.deleted != nil {
			if a.deleted() {
				return false, ErrDeleted
			}
			if pause := int(deletedPause.Milliseconds()); wait < 0 || wait > pause {
				wait = pause
			}
		}
		// A descriptor of -1 is left out by poll.
		p := [...]unix.PollFd{
			{Fd: int32(a.pidfd), Events: unix.POLLIN},
			{Fd: int32(a.out), Events: unix.POLLIN},
			{Fd: int32(a.in), Events: unix.POLLOUT},
			{Fd: int32(a.init), Events: unix.POLLIN},
		}
		if _, err := unix.Poll(p[:], wait); err != nil && err != unix.EINTR {
			return false, fmt.Errorf("poll: %w", err)
		}
		if p[1].Revents != 0 || p[0].Revents != 0 {
			a.read()
		}
		if p[0].Revents != 0 {
			return true, nil
		}
		if p[3].Revents != 0 {
			return false, ErrEnded
		}
	}
}

// write writes what the pipe takes, and closes it behind the last byte. A hook
// that does not read its input has closed it: that is no error.
func (a *attendance) write() {
	for a.in >= 0 {
		if len(a.rest) == 0 {
			shut(&a.in)
			return
		}
		n, err := unix.Write(a.in, a.rest)
		switch {
		case n > 0:
			a.rest = a.rest[n:]
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return
		default: // EPIPE
			shut(&a.in)
		}
	}
}

// maxReads bounds what is read in one go: a writer that is faster than the
// reader does not keep the loop from the timeout.
const maxReads = 64

// read reads what is there.
func (a *attendance) read() {
	var buf [4096]byte
	for i := 0; a.out >= 0 && i < maxReads; i++ {
		n, err := unix.Read(a.out, buf[:])
		switch {
		case n > 0:
			a.tail.add(buf[:n])
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return
		default:
			shut(&a.out)
		}
	}
}

// kill kills the hook with its process group and reaps it. The group's id cannot
// be another's: the hook is not reaped yet.
func (a *attendance) kill() {
	a.init, a.deleted = -1, nil // from here on the hook's own end is awaited
	_ = unix.Kill(-a.pid, unix.SIGKILL)
	_ = unix.PidfdSendSignal(a.pidfd, unix.SIGKILL, nil, 0) // it may have left its group
	if ended, err := a.untilEnd(reapTime); ended && err == nil {
		_, _ = proc.Wait(a.pid, a.pidfd)
	}
}

// maxTail is how much of a hook's output an error shows, in bytes.
const maxTail = 2048

// tail keeps the last maxTail bytes.
type tail struct {
	b   []byte
	cut bool
}

func (t *tail) add(p []byte) {
	t.b = append(t.b, p...)
	if over := len(t.b) - maxTail; over > 0 {
		t.cut = true
		t.b = append(t.b[:0], t.b[over:]...)
	}
}

// suffix is the output as one line behind ": ", empty when there is none.
func (t *tail) suffix() string {
	var text strings.Builder
	for line := range strings.Lines(strings.ToValidUTF8(string(t.b), "\ufffd")) {
		line = strings.TrimSpace(strings.Map(printable, line))
		if line == "" {
			continue
		}
		if text.Len() > 0 {
			text.WriteString("; ")
		}
		text.WriteString(line)
	}
	switch {
	case text.Len() == 0:
		return ""
	case t.cut:
		return ": …" + text.String()
	}
	return ": " + text.String()
}

// printable makes blanks of control characters: an error goes to a terminal.
func printable(r rune) rune {
	if r < ' ' || r >= 0x7f && r < 0xa0 {
		return ' '
	}
	return r
}
