package spawn

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/machine"
)

// This file's function returns in the child too: the rules of program/interp.go hold here.

// cloneArgs is struct clone_args of clone3(2), up to and with cgroup.
type cloneArgs struct {
	flags, pidfd, childTid, parentTid, exitSignal, stack, stackSize, tls, setTid, setTidSize, cgroup uint64
}

// cloning is how the child is made.
type cloning struct {
	args cloneArgs
	// old makes it by clone(2), whose flags have 32 bits: the child clears its handlers
	// itself, and is born in the caller's cgroup. No flag may lie where the signal does.
	old bool
}

// makeChild makes the child, which returns 0 from it.
//
// Source: clone(2), "C library/kernel differences"; clone(2), CLONE_PIDFD, which clone
// stores where CLONE_PARENT_SETTID would store the number.
//
//go:nosplit
//go:norace
func makeChild(c *cloning) (pid uintptr, errno syscall.Errno) {
	if !c.old {
		pid, _, errno = syscall.RawSyscall6(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&c.args)), unsafe.Sizeof(c.args), 0, 0, 0, 0)
		return pid, errno
	}
	flags, stack := uintptr(uint32(c.args.flags)|uint32(c.args.exitSignal)), uintptr(0)
	if machine.StackFirst {
		flags, stack = stack, flags
	}
	pid, _, errno = syscall.RawSyscall6(unix.SYS_CLONE, flags, stack, uintptr(c.args.pidfd), 0, 0, 0)
	return pid, errno
}
