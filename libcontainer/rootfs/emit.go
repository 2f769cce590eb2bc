package rootfs

import (
	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

// The few calls that everything here is made of.

// inRoot follows symbolic links as if the directory were "/"; plain follows none,
// and implies RESOLVE_NO_MAGICLINKS. With O_PATH|O_NOFOLLOW plain would yet open a
// link at the end of a path, so it never goes with that.
const (
	inRoot = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS
	plain  = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_SYMLINKS
)

// open emits openat2 of path below dir.
func open(b *program.Builder, dir program.Reg, path string, flags, resolve uint64) program.Call {
	return openAt(b, program.Val(dir), b.Str(path), flags, resolve)
}

// openAt is open with arguments of any kind.
func openAt(b *program.Builder, dir, path program.Arg, flags, resolve uint64) program.Call {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: resolve}
	return b.Sys(unix.SYS_OPENAT2, dir, path, program.Struct(b, &how).Arg(), program.Imm(unix.SizeofOpenHow))
}

// cloneTree emits a detached clone of the mount, or the tree, at the descriptor.
func cloneTree(b *program.Builder, fd program.Reg, recursive bool) program.Call {
	flags := unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	return b.Sys(unix.SYS_OPEN_TREE, program.Val(fd), b.Str(""), program.Imm(flags))
}

// treeAt emits a detached clone of the mount, or the tree, at a path of the
// host.
func treeAt(b *program.Builder, path string, recursive bool) program.Reg {
	flags := unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	return b.Sys(unix.SYS_OPEN_TREE, program.Imm(unix.AT_FDCWD), b.Str(path), program.Imm(flags)).Fd()
}

// forNode are the attributes of the mount of a node that is not the container's
// own: its mode, owner, times and attributes cannot be changed, and yet it can be
// read and written, which for a device is not the file system's affair.
const forNode = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NOEXEC

// hostNode emits a detached bind of a device node of the host. It is private: what
// the container mounts on it must not appear on the host's node. It is read-only:
// the inode is the host's.
func hostNode(b *program.Builder, path string) program.Reg {
	tree := treeAt(b, path, false)
	setattr(b, tree, false, &unix.MountAttr{Attr_set: forNode, Propagation: unix.MS_PRIVATE})
	return tree
}

// attach emits the attaching of a detached mount to the target's descriptor.
func attach(b *program.Builder, mnt, target program.Reg) program.Call {
	return b.Sys(unix.SYS_MOVE_MOUNT, program.Val(mnt), b.Str(""), program.Val(target), b.Str(""),
		program.Imm(unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH))
}

// setattr emits mount_setattr on a descriptor.
func setattr(b *program.Builder, fd program.Reg, recursive bool, attr *unix.MountAttr) program.Call {
	flags := unix.AT_EMPTY_PATH
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	return b.Sys(unix.SYS_MOUNT_SETATTR, program.Val(fd), b.Str(""), program.Imm(flags), program.Struct(b, attr).Arg(), program.Imm(sizeofMountAttr))
}

// closeUsed emits the closing of descriptors that are not needed any more, when
// there are many.
func (r *Root) closeUsed(b *program.Builder, fds ...program.Reg) {
	if !r.many {
		return
	}
	for _, fd := range fds {
		b.Sys(unix.SYS_CLOSE, program.Val(fd)).Ignore()
	}
}

// PrivateProc emits a procfs of Hutch's own, attached nowhere, for what is to be
// read and written there: nothing that the container mounts can stand in its
// way. Where the kernel refuses a new one, in a user namespace below one with a
// masked /proc, it is the host's, proven to be a procfs; what may be reached
// through it is the same, since the kernel goes by the namespaces of the process.
// It comes before Pivot.
func PrivateProc(b *program.Builder) program.Reg {
	b.Element(program.Text{})
	b.Doing(program.T("open a private procfs"))
	ctx, fd, host, done := b.RegOf(-1), b.RegOf(-1), b.Label(), b.Label()
	b.Sys(unix.SYS_FSOPEN, b.Str("proc"), program.Imm(unix.FSOPEN_CLOEXEC)).To(ctx)
	b.Sys(unix.SYS_FSCONFIG, program.Val(ctx), program.Imm(unix.FSCONFIG_CMD_CREATE), program.Imm(0), program.Imm(0), program.Imm(0)).On(unix.EPERM, host)
	b.Sys(unix.SYS_FSMOUNT, program.Val(ctx), program.Imm(unix.FSMOUNT_CLOEXEC), program.Imm(0)).To(fd).On(unix.EPERM, host)
	b.Jump(done)
	b.Bind(host)
	b.Sys(unix.SYS_OPENAT, program.Imm(unix.AT_FDCWD), b.Str("/proc"), program.Imm(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)).To(fd)
	mustBeOn(b, fd, unix.PROC_SUPER_MAGIC, unix.EPERM)
	b.Bind(done)
	return fd
}

// Offsets and sizes of kernel structures that the child looks into.
const (
	statxSize       = 256
	statxMode       = 28
	statxMajor      = 128
	statxMinor      = 132
	sizeofMountAttr = 32
	statfsSize      = 128 // its type comes first; 4 bytes of it matter, which are the first on every architecture with Go
)

// statx emits statx on a descriptor.
func statx(b *program.Builder, fd program.Reg, buf program.Mem) program.Call {
	return b.Sys(unix.SYS_STATX, program.Val(fd), b.Str(""), program.Imm(unix.AT_EMPTY_PATH), program.Imm(unix.STATX_BASIC_STATS), buf.Arg())
}

// part is a part of a buffer, for comparisons.
func part(m program.Mem, off, n uint32) program.Mem { return program.Mem{Off: m.Off + off, Len: n} }

// isDir emits a jump to yes when the statx buffer tells of a directory.
func isDir(b *program.Builder, buf program.Mem, yes program.Label) {
	b.IfWord(part(buf, statxMode, 2), unix.S_IFMT, program.Eq, unix.S_IFDIR, yes)
}

// isNotDevice emits a jump to no when the buffer tells of anything but the
// device kind (S_IFCHR, S_IFBLK) major:minor.
func isNotDevice(b *program.Builder, buf program.Mem, kind, major, minor int64, no program.Label) {
	b.IfWord(part(buf, statxMode, 2), unix.S_IFMT, program.Ne, kind, no)
	b.IfWord(part(buf, statxMajor, 4), -1, program.Ne, major, no)
	b.IfWord(part(buf, statxMinor, 4), -1, program.Ne, minor, no)
}

// mustBeOn emits the proof that a descriptor is on a file system of the type
// magic; otherwise the program fails with errno under the current note.
func mustBeOn(b *program.Builder, fd program.Reg, magic int64, errno unix.Errno) {
	buf, ok := b.Zero(statfsSize), b.Label()
	b.Sys(unix.SYS_FSTATFS, program.Val(fd), buf.Arg())
	b.IfWord(part(buf, 0, 4), -1, program.Eq, magic, ok)
	b.Fail(errno)
	b.Bind(ok)
}
