package spawn

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hutch-project/hutch/internal/sys"
)

// ErrOrphaned is returned by NextWhile when the other process has ended.
var ErrOrphaned = errors.New("the container's init has ended meanwhile")

// NextWhile is Next that waits only as long as the process of pidfd lives: for a child
// that others can stop and that nothing ends when that process ends.
func (c *Child) NextWhile(pidfd int) (Event, error) {
	if err := c.await(time.Time{}, pidfd, ErrOrphaned); err != nil {
		return Event{}, err
	}
	return c.Next()
}

// NextBefore is Next that waits until end at most; a zero end is none. The error is
// os.ErrDeadlineExceeded then.
func (c *Child) NextBefore(end time.Time) (Event, error) {
	if !end.IsZero() {
		if err := c.await(end, -1, nil); err != nil {
			return Event{}, err
		}
	}
	return c.Next()
}

// awaitAdopted waits for a message of a child that was adopted, or its end. Whoever may
// trace it can hold its socket open, so that the socket's end does not tell of the child's.
func (c *Child) awaitAdopted() error {
	if !c.adopted {
		return nil
	}
	return c.await(time.Time{}, c.Pidfd, ErrEnded)
}

// await waits until there is something to read of the child, or its end: at most until
// end, zero being no limit, and as long as the process of pidfd lives, -1 being none. The
// error is os.ErrDeadlineExceeded, or gone.
func (c *Child) await(end time.Time, pidfd int, gone error) error {
	data, ended, err := sys.Await(c.sock, pidfd, end)
	switch {
	case err != nil:
		return fmt.Errorf("poll: %w", err)
	case data:
		return nil
	case ended: // and the child has said nothing
		return gone
	}
	return os.ErrDeadlineExceeded
}
