package program

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrOrphaned is returned by NextWhile when the other process has ended.
var ErrOrphaned = errors.New("the container's init has ended meanwhile")

// NextWhile is Next that waits only as long as the process of pidfd lives: for a child
// that others can stop and that nothing ends when that process ends.
func (c *Child) NextWhile(pidfd int) (Event, error) {
	for {
		p := []unix.PollFd{{Fd: int32(c.sock), Events: unix.POLLIN}, {Fd: int32(pidfd), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, -1); err == unix.EINTR {
			continue
		} else if err != nil {
			return Event{}, fmt.Errorf("poll: %w", err)
		}
		if p[0].Revents != 0 {
			return c.Next()
		}
		return Event{}, ErrOrphaned
	}
}
