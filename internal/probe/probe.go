// Package probe asks the kernel which calls it has, by calls that have no effect. An answer
// is that of the kernel and of the filter that the caller is under.
package probe

import (
	"strings"

	"golang.org/x/sys/unix"
)

// Call reports whether there is a system call that is refused when all its arguments are 0
// or -1: the kernel looks at these first, and only one that lacks the call says ENOSYS.
func Call(nr uintptr) bool {
	none := ^uintptr(0)
	_, _, errno := unix.Syscall6(nr, none, 0, 0, 0, 0, 0)
	return errno != unix.ENOSYS
}

// CloseRange reports whether there is close_range(2): a range whose end is before its begin
// is refused.
func CloseRange() bool {
	_, _, errno := unix.Syscall(unix.SYS_CLOSE_RANGE, 1, 0, 0)
	return errno != unix.ENOSYS
}

// SeccompAction reports whether the kernel has what a filter returns, SECCOMP_RET_.
//
// Source: seccomp(2), SECCOMP_GET_ACTION_AVAIL.
func SeccompAction(action uint32) bool {
	return seccompKnows(unix.SECCOMP_GET_ACTION_AVAIL, 0, &action)
}

// SeccompFlag reports whether the kernel has a SECCOMP_FILTER_FLAG_: with one that it has,
// it goes on to the filter, of which there is none.
func SeccompFlag(flag uint) bool { return seccompKnows(unix.SECCOMP_SET_MODE_FILTER, flag, nil) }

// ProcOfPidNS reports whether the kernel can mount a procfs for a pid namespace that the
// caller is not in, which it can from Linux 6.18 on.
//
// Source: kernel filesystems/proc.rst, "pidns".
func ProcOfPidNS() bool {
	ctx, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return false
	}
	defer unix.Close(ctx)
	ns, err := unix.Open("/proc/self/ns/pid", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(ns)
	return unix.FsconfigSetFd(ctx, "pidns", ns) == nil
}

// FileSystemTakes reports whether the kernel takes an option, KEY or KEY=VALUE, for a file
// system that has no source: where the caller cannot ask, it is true. Nothing is mounted.
//
// Source: fsconfig(2); kernel filesystems/mount_api.rst.
func FileSystemTakes(kind, option string) bool {
	ctx, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return true
	}
	defer unix.Close(ctx)
	key, value, valued := strings.Cut(option, "=")
	if valued {
		err = unix.FsconfigSetString(ctx, key, value)
	} else {
		err = unix.FsconfigSetFlag(ctx, key)
	}
	return err != unix.EINVAL
}
