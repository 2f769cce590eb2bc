package namespace

import (
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
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
	// InitCwd, with OwnRoot, takes the working directory that init has, too: before the
	// pivot, the container's root.
	InitCwd bool
	// CallersRoot, with OwnRoot, keeps the caller's root directory in place of init's, which
	// in a mount namespace that was there before is somebody else's.
	CallersRoot bool
	// KeepGroups leaves the process the caller's additional groups.
	KeepGroups bool
}

// Join emits the way into the namespaces, all in one step. In a user namespace the
// process is then root.
//
// The process does not enter a pid namespace: a second one has to be cloned into it,
// see Clones. The caller has that done as late as possible, since the container's
// processes, which may have CAP_SYS_PTRACE, can take from it whatever it still has.
//
// Source: setns(2), "fd is a PID file descriptor" (Linux 5.8).
func (n *Init) Join(b *program.Builder) {
	var root, cwd program.Reg
	if n.OwnRoot {
		b.InParent(func() {
			if n.CallersRoot {
				root = callersRoot(b)
			} else {
				root = n.directory(b, "root")
			}
			if n.InitCwd {
				cwd = n.directory(b, "cwd")
			}
		})
	}
	// Before the user namespace is joined, which may deny setgroups.
	if n.Flags&unix.CLONE_NEWUSER != 0 && !n.KeepGroups {
		dropGroups(b)
	}
	b = b.Element(program.T("linux.namespaces")).Doing(program.T("join those of init"))
	if n.Flags != 0 {
		call.Setns(b.Step(program.T("setns")), call.Number(n.Pidfd), n.Flags)
	}
	if n.OwnRoot {
		call.Fchdir(b.Step(program.T("fchdir")), call.In(root))
		call.Chroot(b.Step(program.T("chroot")), call.PathTo(b, "."))
		if n.InitCwd {
			call.Fchdir(b.Step(program.T("go to the root of the container")), call.In(cwd))
		}
	}
	if n.Flags&unix.CLONE_NEWUSER != 0 {
		becomeRoot(b, false, false)
	}
}

// JoinLocking is Join into a user and a mount namespace, with a stay in a copy of the caller's
// mount namespace that belongs to the user namespace, where the kernel has locked what the
// host restricts and covers. There stay emits what is to be done. The other namespaces come
// first: they may be the host's, and root of a user namespace joins none of those. The mount
// namespace is joined by its file, since root of a user namespace may not come by the pidfd to
// an init that waits for start. The file is opened before the pidfd is used: as long as that
// has a process, the number is this one's.
//
// Source: mount_namespaces(7), "Restrictions on mount namespaces".
func (n *Init) JoinLocking(b *program.Builder, stay func(*program.Builder)) {
	var mounts program.Reg
	b.InParent(func() {
		open := b.Element(program.T("linux.namespaces")).Doing(program.T("open the mount namespace of init"))
		mounts = call.Openat(open, call.Cwd(), call.PathTo(b, n.MountNS()), unix.O_RDONLY|unix.O_CLOEXEC).Fd()
	})
	if !n.KeepGroups {
		dropGroups(b)
	}
	join := b.Element(program.T("linux.namespaces")).Doing(program.T("join those of init"))
	const last = unix.CLONE_NEWUSER | unix.CLONE_NEWNS
	if others := n.Flags &^ last; others != 0 {
		call.Setns(join.Step(program.T("setns, but for the user and the mount namespace")), call.Number(n.Pidfd), others)
	}
	n.stayInCopy(b, join, stay)
	join = b.Element(program.T("linux.namespaces")).Doing(program.T("join those of init"))
	call.Setns(join.Step(program.T("setns of the mount namespace")), call.In(mounts), unix.CLONE_NEWNS)
	call.Close(join.Step(program.T("close it")), call.In(mounts))
	becomeRoot(b, false, false)
}

// stayInCopy emits the way into the user namespace, and the stay in a copy of the caller's mount
// namespace that belongs to it.
func (n *Init) stayInCopy(b, join *program.Builder, stay func(*program.Builder)) {
	call.Setns(join.Step(program.T("setns of the user namespace")), call.Number(n.Pidfd), unix.CLONE_NEWUSER)
	call.Unshare(join.Step(program.T("copy the host's mount namespace for it")), unix.CLONE_NEWNS)
	stay(b)
}

// JoinOwn is JoinLocking for a caller without privilege, whose the user namespace is: it has the
// rights for the others in there alone.
func (n *Init) JoinOwn(b *program.Builder, stay func(*program.Builder)) {
	if !n.KeepGroups {
		dropGroups(b)
	}
	join := b.Element(program.T("linux.namespaces")).Doing(program.T("join those of init"))
	n.stayInCopy(b, join, stay)
	join = b.Element(program.T("linux.namespaces")).Doing(program.T("join those of init"))
	call.Setns(join.Step(program.T("setns of the others")), call.Number(n.Pidfd), n.Flags&^unix.CLONE_NEWUSER)
	becomeRoot(b, false, false)
}

// MountNS returns the path of the file of init's mount namespace.
func (n *Init) MountNS() string { return "/proc/" + strconv.Itoa(n.Pid) + "/ns/mnt" }

// directory emits the opening of the directory that init has as its root or cwd.
func (n *Init) directory(b *program.Builder, name string) program.Reg {
	b = b.Element(program.T("linux.namespaces")).Doing(program.T("open the %s directory of init", name))
	return call.Openat(b, call.Cwd(), call.PathTo(b, "/proc/"+strconv.Itoa(n.Pid)+"/"+name), unix.O_PATH|unix.O_CLOEXEC).Fd()
}

// callersRoot emits the opening of the caller's root directory.
func callersRoot(b *program.Builder) program.Reg {
	b = b.Element(program.T("linux.namespaces")).Doing(program.T("open the root directory of the runtime"))
	return call.Openat(b, call.Cwd(), call.PathTo(b, "/"), unix.O_PATH|unix.O_CLOEXEC).Fd()
}

// Clones reports whether a further process has to be cloned into init's pid namespace.
func (n *Init) Clones() bool { return n.Flags&unix.CLONE_NEWPID != 0 }

// Clone emits the clone of the process that goes on, by which it is in the pid
// namespace that the first one has joined. adopt is the tag by which the parent learns
// of it. filtered says that a seccomp filter is loaded already.
func Clone(b *program.Builder, adopt uint32, filtered bool) {
	if !filtered {
		cloneAgain(b, 0, adopt)
		return
	}
	b = b.Element(program.T("linux.namespaces")).Doing(program.T("clone into the namespaces"))
	b.CloneOld(adopt)
}
