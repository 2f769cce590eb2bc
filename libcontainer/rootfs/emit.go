package rootfs

import (
	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

// The few calls that everything here is made of.

const inRoot = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS

// open emits openat2 of path below dir.
func open(b *program.Builder, dir program.Reg, path string, flags, resolve uint64) program.Call {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: resolve}
	return b.Sys(unix.SYS_OPENAT2, program.Val(dir), b.Str(path), program.Struct(b, &how).Arg(), program.Imm(unix.SizeofOpenHow))
}

// cloneTree emits a detached clone of the mount, or the tree, at the descriptor.
func cloneTree(b *program.Builder, fd program.Reg, recursive bool) program.Reg {
	flags := unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	return b.Sys(unix.SYS_OPEN_TREE, program.Val(fd), b.Str(""), program.Imm(flags)).Fd()
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

// param is one option of a new file system; without a value it is a flag.
type param struct{ key, value string }

// newFS emits a detached mount of a new file system.
func newFS(b *program.Builder, kind string, params []param, attrs uint64) program.Reg {
	b.Step(program.T("fsopen %s", kind))
	ctx := b.Sys(unix.SYS_FSOPEN, b.Str(kind), program.Imm(unix.FSOPEN_CLOEXEC)).Fd()
	return finishFS(b, ctx, kind, params, attrs)
}

func finishFS(b *program.Builder, ctx program.Reg, kind string, params []param, attrs uint64) program.Reg {
	for _, p := range params {
		if p.value == "" {
			b.Step(program.T("option %s of %s", p.key, kind))
			b.Sys(unix.SYS_FSCONFIG, program.Val(ctx), program.Imm(unix.FSCONFIG_SET_FLAG), b.Str(p.key), program.Imm(0), program.Imm(0))
			continue
		}
		b.Step(program.T("option %s", p.key+"="+p.value))
		b.Sys(unix.SYS_FSCONFIG, program.Val(ctx), program.Imm(unix.FSCONFIG_SET_STRING), b.Str(p.key), b.Str(p.value), program.Imm(0))
	}
	b.Step(program.T("create the %s file system", kind))
	b.Sys(unix.SYS_FSCONFIG, program.Val(ctx), program.Imm(unix.FSCONFIG_CMD_CREATE), program.Imm(0), program.Imm(0), program.Imm(0))
	b.Step(program.T("fsmount %s", kind))
	return b.Sys(unix.SYS_FSMOUNT, program.Val(ctx), program.Imm(unix.FSMOUNT_CLOEXEC), program.Imm(attrs)).Fd()
}

// PrivateProc emits a procfs of Hutch's own, attached nowhere, for what is to be
// read and written there: nothing that the container mounts can stand in its
// way. Where the kernel refuses a new one, in a user namespace below one with a
// masked /proc, it is the host's.
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
	statfsSize      = 128 // its type comes first, 4 bytes of it matter
)

// statx emits statx on a descriptor.
func statx(b *program.Builder, fd program.Reg, buf program.Mem) program.Call {
	return b.Sys(unix.SYS_STATX, program.Val(fd), b.Str(""), program.Imm(unix.AT_EMPTY_PATH), program.Imm(unix.STATX_BASIC_STATS), buf.Arg())
}

// word is a part of a buffer, for comparisons.
func word(m program.Mem, off, n uint32) program.Mem { return program.Mem{Off: m.Off + off, Len: n} }

// isDir emits a jump to yes when the statx buffer tells of a directory.
func isDir(b *program.Builder, buf program.Mem, yes program.Label) {
	b.IfWord(word(buf, statxMode, 2), unix.S_IFMT, program.Eq, unix.S_IFDIR, yes)
}

// isNotDevice emits a jump to no when the buffer tells of anything but the
// device kind (S_IFCHR, S_IFBLK) major:minor.
func isNotDevice(b *program.Builder, buf program.Mem, kind, major, minor int64, no program.Label) {
	b.IfWord(word(buf, statxMode, 2), unix.S_IFMT, program.Ne, kind, no)
	b.IfWord(word(buf, statxMajor, 4), -1, program.Ne, major, no)
	b.IfWord(word(buf, statxMinor, 4), -1, program.Ne, minor, no)
}
