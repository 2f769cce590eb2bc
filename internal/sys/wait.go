package sys

import "golang.org/x/sys/unix"

// Wait reaps the child pid once it has ended, and returns its wait status.
//
// Source: wait4(2).
func Wait(pid int) (unix.WaitStatus, error) {
	var ws unix.WaitStatus
	for {
		if _, err := unix.Wait4(pid, &ws, 0, nil); err != unix.EINTR {
			return ws, err
		}
	}
}

// IsChild returns an error, ECHILD, where the process of pidfd is no child of this one. One
// that has ended is not reaped.
//
// Source: waitid(2), P_PIDFD.
func IsChild(pidfd int) error {
	for {
		err := unix.Waitid(unix.P_PIDFD, pidfd, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err
		}
	}
}
