package cgroup

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/proc"
)

// removeWait bounds the wait for the end of members that have got SIGKILL:
// writing out a large core or unmapping much memory takes seconds.
const removeWait = 10 * time.Second

// removeTree removes the cgroup dir and all below it, and waits until the
// deadline for the end of its members.
func removeTree(dir string, unified bool, deadline time.Time) error {
	wait := waitMembers
	if unified {
		wait = waitPopulated
	}
	for {
		err := rmdir(unix.AT_FDCWD, dir)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("rmdir %s: %w", dir, err)
		}
		if err := wait(dir, deadline); err != nil {
			return err
		}
		if err := walk(dir, nil, rmdir); err != nil && !errors.Is(err, unix.EBUSY) {
			return err
		}
		err = rmdir(unix.AT_FDCWD, dir)
		if err == nil {
			return nil
		}
		if !time.Now().Before(deadline) {
			return stays(dir, unified, err)
		}
		// Empty by its listing and yet busy: an exiting task, or on v1 the
		// thread that forked the container, has still to leave. The kernel
		// tells nobody when it does; it is a matter of one scheduling.
		time.Sleep(time.Millisecond)
	}
}

func rmdir(at int, name string) error {
	for {
		err := unix.Unlinkat(at, name, unix.AT_REMOVEDIR)
		switch {
		case err == unix.EINTR:
		case err == nil, gone(err):
			return nil
		default:
			return err
		}
	}
}

// stays is the error of a cgroup that could not be emptied.
func stays(dir string, unified bool, reason error) error {
	l, err := survey(dir, unified)
	switch {
	case err == nil && len(l.members) > 0:
		return fmt.Errorf("cgroup %s stays: processes %v are still in it: rmdir: %w", dir, l.members, reason)
	case err == nil && len(l.strangers) > 0:
		return fmt.Errorf("cgroup %s stays: %s: rmdir: %w", dir, l.aliens(), reason)
	}
	return fmt.Errorf("cgroup %s stays: rmdir: %w", dir, reason)
}

// waitPopulated waits until a cgroup v2 has no process in it or below it.
//
// Source: cgroup-v2.rst, "[Un]populated Notification".
func waitPopulated(dir string, deadline time.Time) error {
	empty, err := waitEvent(dir, "populated 0", deadline)
	if gone(err) || err == nil && empty {
		return nil
	}
	if err != nil {
		return err
	}
	return stays(dir, true, unix.EBUSY)
}

// waitEvent waits until cgroup.events of a cgroup v2 has line; false says that
// the deadline has passed.
func waitEvent(dir, line string, deadline time.Time) (bool, error) {
	fd, err := unix.Open(dir+"/cgroup.events", unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false, fmt.Errorf("open %s/cgroup.events: %w", dir, err)
	}
	defer unix.Close(fd)
	var buf [256]byte
	for {
		n, err := unix.Pread(fd, buf[:], 0)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return false, fmt.Errorf("read %s/cgroup.events: %w", dir, err)
		case strings.Contains(string(buf[:n]), line):
			return true, nil
		}
		if !poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}, deadline) {
			return false, nil
		}
	}
}

// waitMembers waits until a cgroup v1 has no member any more in it or below it: v1
// has no event for it, so the processes' own ends are awaited. The caller is not
// waited for.
func waitMembers(dir string, deadline time.Time) error {
	for {
		l, err := survey(dir, false)
		pids := l.others()
		if err != nil || len(pids) == 0 {
			return err
		}
		// One at a time will do: all have to end.
		fd, err := proc.Pidfd(pids[0])
		if err == nil {
			ended := poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, deadline)
			unix.Close(fd)
			if !ended {
				return stays(dir, false, unix.EBUSY)
			}
		} else if !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("%s: %w", dir, err)
		}
		if !time.Now().Before(deadline) {
			return stays(dir, false, unix.EBUSY)
		}
	}
}

// poll waits for an event on fds; false says that the deadline has passed.
func poll(fds []unix.PollFd, deadline time.Time) bool {
	for {
		left := time.Until(deadline).Milliseconds() + 1
		if left <= 0 {
			return false
		}
		n, err := unix.Poll(fds, int(left))
		if err == unix.EINTR {
			continue
		}
		return n > 0
	}
}
