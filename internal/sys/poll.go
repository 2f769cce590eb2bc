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

// Await waits until there is something to read of fd, or the process of pidfd has ended, or the
// time until has come; a pidfd of -1 is none. What the process has written before its end is
// reported with the end: poll looks at one descriptor after the other, so that it may have come
// between the two looks.
//
// Source: Linux fs/select.c, do_poll.
func Await(fd, pidfd int, until time.Time) (data, ended bool, err error) {
	return await(Poll, fd, pidfd, until)
}

func await(poll func([]unix.PollFd, time.Time) (int, error), fd, pidfd int, until time.Time) (data, ended bool, err error) {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(pidfd), Events: unix.POLLIN}}
	if _, err := poll(p, until); err != nil {
		return false, false, err
	}
	if ended = p[1].Revents != 0; ended && p[0].Revents == 0 {
		if _, err := poll(p[:1], time.Unix(0, 0)); err != nil {
			return false, true, err
		}
	}
	return p[0].Revents != 0, ended, nil
}
