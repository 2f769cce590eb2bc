package namespace

import (
	"strconv"

	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

// Init is the first process of a container whose namespaces a further process
// joins.
type Init struct {
	Pid   int // in the caller's pid namespace
	Pidfd int
	Flags uint64 // CLONE_NEW flags of the namespaces that are not the caller's
	// OwnRoot takes the root directory that init has at the time. Without it
	// that is the top of its mount namespace, which it is not before the pivot,
	// nor for a container in the caller's mount namespace.
	OwnRoot bool
}

// Join emits the way into the namespaces, all in one step, and, for a pid
// namespace, a second clone: adopt is then the tag by which the parent learns of
// the process that goes on, which waits for the answer. In a user namespace the
// process is then root.
//
// A thread that had joined the pid namespace before the first clone would save the
// second. It is not done: the process would be seen by the container's processes,
// which may have CAP_SYS_PTRACE, while it is still in the host's mount namespace.
//
// Source: setns(2), "fd is a PID file descriptor" (Linux 5.8).
func (n *Init) Join(b *program.Builder, adopt uint32) {
	var root program.Reg
	if n.OwnRoot {
		b.InParent(func() {
			b.Doing(program.T("open the root directory of init"))
			b.Step(program.Text{})
			root = b.Sys(unix.SYS_OPENAT, program.Imm(unix.AT_FDCWD), b.Str("/proc/"+strconv.Itoa(n.Pid)+"/root"),
				program.Imm(unix.O_PATH|unix.O_CLOEXEC)).Fd()
		})
	}
	b.Element(program.T("linux.namespaces"))
	b.Doing(program.T("join those of init"))
	b.Step(program.T("setns"))
	if n.Flags != 0 {
		b.Sys(unix.SYS_SETNS, program.Imm(n.Pidfd), program.Imm(n.Flags))
	}
	if n.OwnRoot {
		b.Step(program.T("fchdir"))
		b.Sys(unix.SYS_FCHDIR, program.Val(root))
		b.Step(program.T("chroot"))
		b.Sys(unix.SYS_CHROOT, b.Str("."))
	}
	if n.Flags&unix.CLONE_NEWPID != 0 {
		cloneAgain(b, 0, adopt)
	}
	if n.Flags&unix.CLONE_NEWUSER != 0 {
		becomeRoot(b)
	}
}
