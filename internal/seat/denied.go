package seat

import (
	"golang.org/x/sys/unix"
)

// Denied are the newer system calls that are not to be had: a seccomp filter around this
// process, of an outer container or a service manager, answers in the kernel's place.
//
// What is programmed for other calls then stands in the program, where hutch plan shows it.
type Denied struct {
	Clone3 bool // clone makes processes, which enter their cgroup v2 by themselves
	Fsopen bool // or fsconfig, or fsmount: mount makes file systems
}

// Calls returns what is denied to this process. Without a filter nothing is asked, since
// Hutch needs a kernel that has the calls.
//
// Source: PR_GET_SECCOMP(2const).
func Calls() Denied { return denied.of(askDenied) }

var denied once[Denied]

func askDenied() Denied {
	if mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0); err == nil && mode == 0 {
		return Denied{}
	}
	return Denied{
		Clone3: refused(unix.SYS_CLONE3, 0, 0),
		Fsopen: refused(unix.SYS_FSOPEN, 0, none) || refused(unix.SYS_FSCONFIG, none, none) || refused(unix.SYS_FSMOUNT, none, none),
	}
}

// none is what no call takes as a descriptor, or as flags.
const none = ^uintptr(0)

// refused reports whether a call with arguments that the kernel finds wrong fails as one
// does which it does not come to. A caller who may not mount cannot tell EPERM of the
// kernel's own: what is taken for denied is done by the other calls, which serve as well.
func refused(nr uintptr, args ...uintptr) bool {
	var all [6]uintptr
	copy(all[:], args)
	_, _, errno := unix.RawSyscall6(nr, all[0], all[1], all[2], all[3], all[4], all[5])
	return errno == unix.ENOSYS || errno == unix.EPERM
}
