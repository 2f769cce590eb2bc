package rootfs

import (
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/program/call/idiom"
)

// The few calls that everything here is made of.

// inRoot follows symbolic links as if the directory were "/"; plain follows none,
// and implies RESOLVE_NO_MAGICLINKS. With O_PATH|O_NOFOLLOW plain would yet open a
// link at the end of a path, so it never goes with that.
const (
	inRoot = idiom.InRoot
	plain  = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_SYMLINKS
)

// open emits openat2 of path below dir.
func open(b *program.Builder, dir program.Reg, path string, flags, resolve uint64) program.Call {
	return openAt(b, call.In(dir), call.PathTo(b, path), flags, resolve)
}

// openAt is open with arguments of any kind.
func openAt(b *program.Builder, dir call.Fd, path call.Path, flags, resolve uint64) program.Call {
	return call.Openat2(b, dir, path, call.How{Flags: flags | unix.O_CLOEXEC, Resolve: resolve})
}

// cloneTree emits a detached clone of the mount, or the tree, at the descriptor.
func cloneTree(b *program.Builder, fd program.Reg, recursive bool) program.Call {
	flags := uint64(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	return call.OpenTree(b, call.In(fd), call.PathTo(b, ""), flags)
}

// treeAt emits a detached clone of the mount, or the tree, at a path of the
// host. More are further flags.
func treeAt(b *program.Builder, path string, recursive bool, more uint64) program.Reg {
	flags := unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | more
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	return call.OpenTree(b, call.Cwd(), call.PathTo(b, path), flags).Fd()
}

// forNode are the attributes of the mount of a node that is not the container's
// own: its mode, owner, times and attributes cannot be changed, and yet it can be
// read and written, which for a device is not the file system's affair.
const forNode = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NOEXEC

// hostNode emits a detached bind of a device node of the host. It is private: what
// the container mounts on it must not appear on the host's node. It is read-only:
// the inode is the host's.
func hostNode(b *program.Builder, path string) program.Reg {
	tree := treeAt(b, path, false, 0)
	setattr(b, tree, false, &unix.MountAttr{Attr_set: forNode, Propagation: unix.MS_PRIVATE})
	return tree
}

// attach emits the attaching of a detached mount to the target's descriptor.
func attach(b *program.Builder, mnt, target program.Reg) program.Call {
	to := call.Place{Dir: call.In(target), Path: call.PathTo(b, "")}
	return call.MoveMount(b, call.In(mnt), to, unix.MOVE_MOUNT_T_EMPTY_PATH)
}

// setattr emits mount_setattr on a descriptor.
func setattr(b *program.Builder, fd program.Reg, recursive bool, attr *unix.MountAttr) program.Call {
	flags := uint64(unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	return call.MountSetattr(b, call.In(fd), call.PathTo(b, ""), flags, attr)
}

// closeUsed emits the closing of descriptors that are not needed any more, when
// there are many.
func (r *Root) closeUsed(b *program.Builder, fds ...program.Reg) {
	if !r.many {
		return
	}
	for _, fd := range fds {
		call.Close(b, call.In(fd)).Ignore()
	}
}

// PrivateProc emits a procfs of Hutch's own, attached nowhere, for what is to be
// read and written there: nothing that the container mounts can stand in its
// way. Where the kernel refuses a new one, in a user namespace below one with a
// masked /proc, or whoever is in a mount namespace without privilege in it, as the
// process of a user's exec, it is the host's, proven to be a procfs; what may be reached
// through it is the same, since the kernel goes by the namespaces of the process.
// It comes before Pivot.
func PrivateProc(b *program.Builder) program.Reg {
	b = b.Element(program.T("process")).Doing(program.T("open a private procfs"))
	ctx, fd, host, done := b.RegOf(-1), b.RegOf(-1), b.Label(), b.Label()
	call.Fsopen(b, "proc", unix.FSOPEN_CLOEXEC).To(ctx).On(unix.EPERM, host)
	call.FsconfigCreate(b, call.In(ctx)).On(unix.EPERM, host)
	call.Fsmount(b, call.In(ctx), unix.FSMOUNT_CLOEXEC, 0).To(fd).On(unix.EPERM, host)
	b.Jump(done)
	b.Bind(host)
	openHostProc(b, fd)
	b.Bind(done)
	return fd
}

// PrivateProc is the function of that name, for the init of this root, and where fsopen is
// denied.
func (r *Root) PrivateProc(b *program.Builder, denied bool) program.Reg {
	if denied {
		return r.oldProc(b)
	}
	return PrivateProc(b)
}

// HostProc is PrivateProc where fsopen is denied and the process is in a mount namespace of
// others.
func HostProc(b *program.Builder) program.Reg { return hostProc(b) }

// statx emits statx on a descriptor.
func statx(b *program.Builder, fd program.Reg, buf program.Mem) program.Call {
	return call.Statx(b, call.In(fd), call.PathTo(b, ""), unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS, buf)
}

// isDir emits a jump to yes when the statx buffer tells of a directory.
func isDir(b *program.Builder, buf program.Mem, yes program.Label) {
	b.IfWord(idiom.Part(buf, idiom.StatxMode, 2), unix.S_IFMT, program.Eq, unix.S_IFDIR, yes)
}

// isNotDevice emits a jump to no when the buffer tells of anything but the
// device kind (S_IFCHR, S_IFBLK) major:minor.
func isNotDevice(b *program.Builder, buf program.Mem, kind, major, minor int64, no program.Label) {
	b.IfWord(idiom.Part(buf, idiom.StatxMode, 2), unix.S_IFMT, program.Ne, kind, no)
	b.IfWord(idiom.Part(buf, idiom.StatxMajor, 4), -1, program.Ne, major, no)
	b.IfWord(idiom.Part(buf, idiom.StatxMinor, 4), -1, program.Ne, minor, no)
}
