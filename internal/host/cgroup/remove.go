package cgroup

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/internal/proc"
	"github.com/hutch-project/hutch/internal/sys"
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
		if err := cgroupfs.Walk(dir, nil, rmdir); err != nil && !errors.Is(err, unix.EBUSY) {
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
		// notifies nobody when it does; it is a matter of one scheduling.
		time.Sleep(time.Millisecond)
	}
}

func rmdir(at int, name string) error {
	err := sys.Retry(func() error { return unix.Unlinkat(at, name, unix.AT_REMOVEDIR) })
	if cgroupfs.IsGone(err) {
		return nil
	}
	return err
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
	if cgroupfs.IsGone(err) || err == nil && empty {
		return nil
	}
	if err != nil {
		return err
	}
	return stays(dir, true, unix.EBUSY)
}

// waitEvent waits until cgroup.events of a cgroup v2 has line; false is returned
// when the deadline has passed.
func waitEvent(dir, line string, deadline time.Time) (bool, error) {
	fd, err := sys.Open(unix.AT_FDCWD, dir+"/cgroup.events", unix.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false, fmt.Errorf("open %s/cgroup.events: %w", dir, err)
	}
	defer unix.Close(fd)
	var buf [256]byte
	for {
		n, err := sys.Retry1(func() (int, error) { return unix.Pread(fd, buf[:], 0) })
		switch {
		case err != nil:
			return false, fmt.Errorf("read %s/cgroup.events: %w", dir, err)
		case strings.Contains(string(buf[:n]), line):
			return true, nil
		}
		changed, err := sys.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}, deadline)
		if err != nil {
			return false, fmt.Errorf("poll %s/cgroup.events: %w", dir, err)
		}
		if changed == 0 {
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
			ended, err := sys.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, deadline)
			unix.Close(fd)
			if err != nil {
				return fmt.Errorf("%s: poll: %w", dir, err)
			}
			if ended == 0 {
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
