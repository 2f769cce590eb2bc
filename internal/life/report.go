package life

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/internal/sys"
)

const (
	reportLen = 16
	failedTag = 0xffffffff
)

// reports reads init's messages from result.fifo, see internal/program: the tag, the index
// of the instruction, the value, which is the errno of a failure. The output of a hook
// follows its message, whose value is its length.
type reports struct {
	fd, pidfd int                     // of the fifo; of init
	failed    func(spawn.Event) error // returns the error of a failure
	failure   error                   // what init has reported of itself, nil when execve has succeeded

	buf, rest []byte // rest is what has been read and is not served
	left      int    // bytes that were read after init's end
}

// maxLeft is how much is read after init's end, in bytes: what a fifo holds, unless root
// has made it larger. More is not init's, but of whoever traces it, and may have no end.
//
// Source: pipe(7), "Pipe capacity".
const maxLeft = 1 << 20

// next waits for the next message, until the deadline if there is one: the error is
// os.ErrDeadlineExceeded then, and spawn.ErrEnded behind the last one. A failure is
// kept, and what comes behind it is its consequence.
func (r *reports) next(deadline time.Time) (spawn.Event, error) {
	for {
		for m, size := parseReport(r.rest); size > 0; m, size = parseReport(r.rest) {
			r.rest = r.rest[size:]
			switch {
			case r.failure != nil:
			case m.Tag == failedTag:
				r.failure = r.failed(m)
			default:
				return m, nil
			}
		}
		if err := r.read(deadline); err != nil {
			return spawn.Event{}, err
		}
	}
}

// read reads more.
func (r *reports) read(deadline time.Time) error {
	data, gone, err := awaitReport(r.fd, r.pidfd, deadline)
	switch {
	case err != nil:
		return err
	case !data && !gone:
		return os.ErrDeadlineExceeded
	case !data, r.left >= maxLeft:
		return spawn.ErrEnded
	}
	if r.buf == nil {
		r.buf = make([]byte, 4096)
	}
	got, err := sys.Read(r.fd, r.buf)
	if err == unix.EAGAIN {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read result.fifo: %w", err)
	}
	if got == 0 {
		return spawn.ErrEnded
	}
	r.rest = append(r.rest, r.buf[:got]...)
	if gone {
		r.left += got
	}
	return nil
}

// awaitReport waits until there is data to read, or the process of pidfd is gone, or until
// end, if any. Whoever may trace the process can hold its end of the fifo open.
func awaitReport(fd, pidfd int, end time.Time) (data, gone bool, err error) {
	if data, gone, err = sys.Await(fd, pidfd, end); err != nil {
		err = fmt.Errorf("poll: %w", err)
	}
	return data, gone, err
}

// parseReport returns the first message of p and its size, which is 0 while it is not all
// there.
func parseReport(data []byte) (spawn.Event, int) {
	if len(data) < reportLen {
		return spawn.Event{}, 0
	}
	msg := spawn.Event{
		Tag: binary.NativeEndian.Uint32(data), PC: int(binary.NativeEndian.Uint32(data[4:])),
		Value: int64(binary.NativeEndian.Uint64(data[8:])), Fd: -1,
	}
	if !compile.OfHook(msg.Tag) || msg.Value < 0 || msg.Value > compile.HookTail {
		return msg, reportLen
	}
	size := reportLen + int(msg.Value)
	if len(data) < size {
		return spawn.Event{}, 0
	}
	msg.Data = data[reportLen:size]
	return msg, size
}

// reported returns the error of a failure, in the words that the record has for it.
func (c *container) reported(msg spawn.Event) error {
	errno := unix.Errno(msg.Value)
	for _, a := range c.rec.AfterStart {
		if a.PC != msg.PC {
			continue
		}
		if errno == 0 {
			return errors.New(a.Text)
		}
		return fmt.Errorf("%s: %w", a.Text, c.execError(a.Text, errno))
	}
	return fmt.Errorf("instruction %d: %w", msg.PC, errno)
}
