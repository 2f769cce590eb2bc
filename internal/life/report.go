package life

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/part/process"
)

// A report is a message of init that comes by result.fifo, see internal/program: the
// tag, the index of the instruction, the value, which is the errno of a failure. The
// output of a hook follows its message, whose value is its length.
type report struct {
	tag   uint32
	pc    int
	value int64
	data  []byte
}

const (
	reportLen = 16
	failedTag = 0xffffffff
)

// readReports reads init's messages up to their end. failure is what init has reported of
// itself, nil when execve has succeeded; the error is that of a hook.
func (c *container) readReports(fd, pidfd int, hooks *startHooks) (failure, err error) {
	var rest []byte
	buf := make([]byte, 4096)
	for {
		if late, ended, err := awaitReport(fd, pidfd, hooks.end); err != nil {
			return nil, err
		} else if late {
			return nil, hooks.late()
		} else if ended {
			return failure, nil
		}
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read result.fifo: %w", err)
		}
		if n == 0 {
			return failure, nil
		}
		rest = append(rest, buf[:n]...)
		for m, size := parseReport(rest); size > 0; m, size = parseReport(rest) {
			rest = rest[size:]
			switch {
			case failure != nil: // what ends behind it is its consequence
			case m.tag == failedTag:
				failure = c.reported(m)
			default:
				hooks.executing = hooks.executing || m.tag == compile.Executing
				if err := hooks.take(m.tag, m.value, m.data); err != nil {
					return nil, err
				}
			}
		}
	}
}

// awaitReport waits until there is something to read, or until end, if any. ended says
// that the process of pidfd is no more and has left nothing: whoever may trace it can hold
// its end of the fifo open.
func awaitReport(fd, pidfd int, end time.Time) (late, ended bool, err error) {
	for {
		wait := -1
		if !end.IsZero() {
			left := time.Until(end)
			if left <= 0 {
				return true, false, nil
			}
			wait = int(min(left.Milliseconds()+1, 1<<30))
		}
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(pidfd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, wait)
		if err != nil && err != unix.EINTR {
			return false, false, fmt.Errorf("poll: %w", err)
		}
		if n > 0 {
			return false, p[0].Revents == 0, nil
		}
	}
}

// parseReport takes the first message of p; its size is 0 while it is not all there.
func parseReport(p []byte) (report, int) {
	if len(p) < reportLen {
		return report{}, 0
	}
	m := report{tag: binary.NativeEndian.Uint32(p), pc: int(binary.NativeEndian.Uint32(p[4:])), value: int64(binary.NativeEndian.Uint64(p[8:]))}
	if m.tag != compile.HookOutput || m.value < 0 || m.value > compile.HookTail {
		return m, reportLen
	}
	size := reportLen + int(m.value)
	if len(p) < size {
		return report{}, 0
	}
	m.data = p[reportLen:size]
	return m, size
}

// reported is the error of a report, in the words that the record keeps for it.
func (c *container) reported(m report) error {
	errno := unix.Errno(m.value)
	for _, a := range c.rec.AfterStart {
		if a.PC != m.pc {
			continue
		}
		if errno == 0 {
			return errors.New(a.Text)
		}
		return fmt.Errorf("%s: %w", a.Text, process.ExplainExec(errno))
	}
	return fmt.Errorf("instruction %d: %w", m.pc, errno)
}
