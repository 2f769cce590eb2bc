package call

import (
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// FileSystem is what mount(2) mounts.
type FileSystem struct {
	Source, Type string
	Data         string // options of the file system; none where it is empty
}

// Mount mounts fs on at.
func Mount(b *program.Builder, fs FileSystem, at Path, flags uint64) program.Call {
	source, data := b.Str(fs.Source), none()
	kind := b.Str(fs.Type)
	if fs.Data != "" {
		data = b.Str(fs.Data)
	}
	return b.Sys(unix.SYS_MOUNT, source, arg(at), kind, imm(flags), data)
}

// MountPropagation changes the propagation of the mount at.
func MountPropagation(b *program.Builder, at Path, flags uint64) program.Call {
	return b.Sys(unix.SYS_MOUNT, none(), arg(at), none(), imm(flags), none())
}

func Umount2(b *program.Builder, path Path, flags uint64) program.Call {
	return b.Sys(unix.SYS_UMOUNT2, arg(path), imm(flags))
}

func PivotRoot(b *program.Builder, root, putOld Path) program.Call {
	return b.Sys(unix.SYS_PIVOT_ROOT, arg(root), arg(putOld))
}

func OpenTree(b *program.Builder, dir Fd, path Path, flags uint64) program.Call {
	return b.Sys(unix.SYS_OPEN_TREE, arg(dir), arg(path), imm(flags))
}

// OpenTreeAttr is OpenTree and MountSetattr of the clone.
func OpenTreeAttr(b *program.Builder, dir Fd, path Path, flags uint64, attr *unix.MountAttr) program.Call {
	return b.Sys(unix.SYS_OPEN_TREE_ATTR, arg(dir), arg(path), imm(flags), program.Struct(b, attr).Arg(), program.Imm(sizeofMountAttr))
}

// sizeofMountAttr is MOUNT_ATTR_SIZE_VER0 of mount_setattr(2).
const sizeofMountAttr = 32

// Place is what move_mount goes from or to.
type Place struct {
	Dir  Fd
	Path Path
}

// MoveMount attaches the mount mnt at to.
func MoveMount(b *program.Builder, mnt Fd, to Place, flags uint64) program.Call {
	return b.Sys(unix.SYS_MOVE_MOUNT, arg(mnt), b.Str(""), arg(to.Dir), arg(to.Path), imm(flags|unix.MOVE_MOUNT_F_EMPTY_PATH))
}

func Fsopen(b *program.Builder, kind string, flags uint64) program.Call {
	return b.Sys(unix.SYS_FSOPEN, b.Str(kind), imm(flags))
}

// FsconfigFlag sets an option that is a word.
func FsconfigFlag(b *program.Builder, ctx Fd, key string) program.Call {
	return b.Sys(unix.SYS_FSCONFIG, arg(ctx), program.Imm(unix.FSCONFIG_SET_FLAG), b.Str(key), none(), none())
}

// FsconfigString sets an option to a string.
func FsconfigString(b *program.Builder, ctx Fd, key, value string) program.Call {
	return b.Sys(unix.SYS_FSCONFIG, arg(ctx), program.Imm(unix.FSCONFIG_SET_STRING), b.Str(key), b.Str(value), none())
}

// FsconfigFd sets an option to a descriptor.
func FsconfigFd(b *program.Builder, ctx Fd, key string, fd Fd) program.Call {
	return b.Sys(unix.SYS_FSCONFIG, arg(ctx), program.Imm(unix.FSCONFIG_SET_FD), b.Str(key), none(), arg(fd))
}

// FsconfigCreate makes the file system.
func FsconfigCreate(b *program.Builder, ctx Fd) program.Call {
	return b.Sys(unix.SYS_FSCONFIG, arg(ctx), program.Imm(unix.FSCONFIG_CMD_CREATE), none(), none(), none())
}

// Fsmount makes a mount of it, attached nowhere, with MOUNT_ATTR flags.
func Fsmount(b *program.Builder, ctx Fd, flags, attrs uint64) program.Call {
	return b.Sys(unix.SYS_FSMOUNT, arg(ctx), imm(flags), imm(attrs))
}

func MountSetattr(b *program.Builder, dir Fd, path Path, flags uint64, attr *unix.MountAttr) program.Call {
	return MountSetattrIn(b, dir, path, flags, program.Struct(b, attr))
}

// MountSetattrIn is MountSetattr with a struct mount_attr that is filled in later.
func MountSetattrIn(b *program.Builder, dir Fd, path Path, flags uint64, attr program.Mem) program.Call {
	return b.Sys(unix.SYS_MOUNT_SETATTR, arg(dir), arg(path), imm(flags), attr.Arg(), program.Imm(sizeofMountAttr))
}
