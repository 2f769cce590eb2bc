package state

import (
	"encoding/binary"
	"fmt"
	"iter"

	"golang.org/x/sys/unix"
)

// GoWith lets init go on as Go does, and sends it text in frames of the given length, each
// a word with the number of bytes that follow; a frame with none ends it. It waits for
// init to take them, at most as long as the process of pidfd lives. The error is
// unix.ENXIO, wrapped, when nobody waits.
func (d *Dir) GoWith(text []byte, frame, pidfd int) error {
	return d.toInit(Frames(text, frame), pidfd)
}

// toInit writes the messages to the fifo that init reads.
func (d *Dir) toInit(messages iter.Seq[[]byte], pidfd int) error {
	fd, err := d.openFifo(goName, unix.O_WRONLY|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for m := range messages {
		if err := writeWhole(fd, m, pidfd); err != nil {
			return fmt.Errorf("write to %s/%s: %w", d.path, goName, err)
		}
	}
	return nil
}

// Frames returns text in frames as GoWith sends them.
func Frames(text []byte, frame int) iter.Seq[[]byte] {
	const word = 8
	return func(yield func([]byte) bool) {
		for last := false; !last; {
			n := min(len(text), frame-word)
			last = n == 0
			f := make([]byte, frame)
			binary.NativeEndian.PutUint64(f, uint64(n))
			copy(f[word:], text[:n])
			text = text[n:]
			if !yield(f) {
				return
			}
		}
	}
}

// writeWhole writes a message, which a fifo takes whole or not at all, when there is
// room, as long as the process of pidfd lives; -1 is none.
//
// Source: pipe(7), PIPE_BUF.
func writeWhole(fd int, message []byte, pidfd int) error {
	for {
		_, err := unix.Write(fd, message)
		switch err {
		case nil:
			return nil
		case unix.EINTR:
			continue
		case unix.EPIPE: // init has ended since the open
			return unix.ENXIO
		case unix.EAGAIN:
		default:
			return err
		}
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}, {Fd: int32(pidfd), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, -1); err != nil && err != unix.EINTR {
			return err
		}
		if p[1].Revents != 0 {
			return unix.ENXIO
		}
	}
}
