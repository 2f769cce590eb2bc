package sys

import (
	"time"

	"golang.org/x/sys/unix"
)

// Poll waits until one of the descriptors in fds has an event or the time until has come,
// and returns the number of those that have one: 0 when the time is over. The zero time
// never comes. A signal does not end the wait.
//
// Source: poll(2).
func Poll(fds []unix.PollFd, until time.Time) (int, error) {
	for {
		n, err := unix.Poll(fds, timeout(until))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n > 0:
			return n, nil
		case !until.IsZero() && !time.Now().Before(until):
			return 0, nil
		}
	}
}

// maxTimeout is the longest single poll, in milliseconds: a day.
const maxTimeout = 24 * 60 * 60 * 1000

// timeout returns the milliseconds until a time, rounded up so that none is cut short,
// as poll(2) takes them: -1 for the zero time.
func timeout(until time.Time) int {
	if until.IsZero() {
		return -1
	}
	left := time.Until(until)
	if left <= 0 {
		return 0
	}
	return int(min((left+time.Millisecond-1)/time.Millisecond, maxTimeout))
}
