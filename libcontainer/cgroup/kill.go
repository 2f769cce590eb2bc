package cgroup

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// killMembers sends SIGKILL to each process of dir. It ends when a listing shows
// no process that has not got its signal: a process with SIGKILL pending makes no
// child any more.
//
// The processes come by number, and a number may be another's by the time it is
// used. So a pidfd is opened first and its process is killed only when a later
// listing still has the number: if the pidfd's process then lives, it is the
// member.
func killMembers(dir string) error {
	killed := map[int]bool{}
	held := map[int]int{}
	defer func() {
		for _, fd := range held {
			unix.Close(fd)
		}
	}()
	// Each round but the last finds a process that was forked meanwhile. A
	// thousand is for a fork bomb without a freezer to hold it.
	for range 1000 {
		pids, err := members(dir)
		if err != nil {
			return err
		}
		todo := false
		for _, pid := range pids {
			if killed[pid] {
				continue
			}
			todo = true
			fd, ok := held[pid]
			if !ok {
				fd, err := unix.PidfdOpen(pid, 0)
				if errors.Is(err, unix.EMFILE) && len(held) > 0 {
					continue // those that are held go first
				}
				if err != nil && !errors.Is(err, unix.ESRCH) {
					return fmt.Errorf("%s: pidfd_open %d: %w", dir, pid, err)
				}
				if err == nil {
					held[pid] = fd
				}
				continue
			}
			err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
			unix.Close(fd)
			delete(held, pid)
			switch {
			case err == nil:
				killed[pid] = true
			case errors.Is(err, unix.ESRCH): // the number is another's now
			default:
				return fmt.Errorf("%s: kill process %d: %w", dir, pid, err)
			}
		}
		if !todo {
			return nil
		}
	}
	return fmt.Errorf("%s: its processes fork faster than they are killed", dir)
}
