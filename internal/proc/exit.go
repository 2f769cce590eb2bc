package proc

import (
	"time"

	"golang.org/x/sys/unix"
)

// reapWait bounds how long ExitOf waits for a process that has ended to be reaped: by a
// parent that cares at once, by one that does not never.
const reapWait = time.Second

// ExitOf returns how the process of pidfd ended, which is not a child of the caller, or is
// one that somebody else has waited for. It has ended, and known is false where the kernel
// does not tell: before Linux 6.15, and as long as its parent has not waited for it, for
// which ExitOf waits a second. The pidfd must have been opened before that.
//
// Source: linux/pidfd.h, PIDFD_INFO_EXIT; Linux fs/pidfs.c, pidfd_poll (EPOLLHUP).
func ExitOf(pidfd int) (status unix.WaitStatus, known bool) {
	for end := time.Now().Add(reapWait); ; {
		info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
		err := unix.IoctlPidfdInfo(pidfd, &info)
		if err == nil && info.Mask&unix.PIDFD_INFO_EXIT != 0 {
			return unix.WaitStatus(info.Exit_code), true
		}
		left := time.Until(end)
		if err != nil && err != unix.EINTR && err != unix.ESRCH || left <= 0 {
			return 0, false
		}
		// No event is asked for, so that the process's end alone, which has come, does not
		// end the wait. The error EPOLLHUP always does.
		p := []unix.PollFd{{Fd: int32(pidfd)}}
		_, _ = unix.Poll(p, int(left.Milliseconds())+1)
		if err == unix.ESRCH && p[0].Revents != 0 { // reaped, and the kernel keeps no status
			return 0, false
		}
	}
}
