package program

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/calls"
	"github.com/hutch-project/hutch/internal/enum"
)

// constant is one constant of the kernel's and its name.
type constant struct {
	v    uint64
	name string
}

// flagWords writes the bits of v by the names of set, in its order, joined by |.
// Names of several bits come first in a set. What has no name is a number.
func flagWords(v uint64, set []constant) string {
	var out []string
	for _, f := range set {
		if f.v != 0 && v&f.v == f.v {
			out = append(out, f.name)
			v &^= f.v
		}
	}
	if v != 0 || len(out) == 0 {
		out = append(out, hexWord(v))
	}
	return strings.Join(out, "|")
}

// enumWord is the name of the one value v, or its number.
func enumWord(v uint64, set []constant) string {
	for _, f := range set {
		if f.v == v {
			return f.name
		}
	}
	return intWord(v)
}

func intWord(v uint64) string { return strconv.FormatInt(int64(v), 10) }

func hexWord(v uint64) string {
	if v < 10 {
		return strconv.FormatUint(v, 10)
	}
	return "0x" + strconv.FormatUint(v, 16)
}

func octWord(v uint64) string {
	if v == 0 {
		return "0"
	}
	return "0" + strconv.FormatUint(v, 8)
}

// modeWord writes a file mode: the type by name, the permissions in octal.
func modeWord(v uint64) string {
	switch t := v & unix.S_IFMT; t {
	case 0:
		return octWord(v)
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFCHR, unix.S_IFBLK, unix.S_IFIFO, unix.S_IFLNK, unix.S_IFSOCK:
		return enumWord(t, []constant{{unix.S_IFREG, "S_IFREG"}, {unix.S_IFDIR, "S_IFDIR"}, {unix.S_IFCHR, "S_IFCHR"},
			{unix.S_IFBLK, "S_IFBLK"}, {unix.S_IFIFO, "S_IFIFO"}, {unix.S_IFLNK, "S_IFLNK"}, {unix.S_IFSOCK, "S_IFSOCK"}}) +
			"|" + octWord(v&^unix.S_IFMT)
	}
	return octWord(v)
}

// openWord writes the flags of an open: the way of access comes first, and is
// left out with O_PATH, which takes none.
func openWord(v uint64) string {
	access := ""
	switch acc := v & unix.O_ACCMODE; {
	case acc == unix.O_WRONLY:
		access = "O_WRONLY"
	case acc == unix.O_RDWR:
		access = "O_RDWR"
	case acc == unix.O_RDONLY && v&unix.O_PATH == 0:
		access = "O_RDONLY"
	}
	if rest := v &^ uint64(unix.O_ACCMODE); rest != 0 {
		if access != "" {
			access += "|"
		}
		return access + flagWords(rest, flagSet(calls.Open))
	}
	return access
}

// signalWord is the name of a signal.
func signalWord(v uint64) string {
	if s := unix.SignalName(unix.Signal(v)); v < 65 && s != "" {
		return s
	}
	return intWord(v)
}

// socketWord writes the type of a socket and its flags.
func socketWord(v uint64) string {
	const flags = unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	s := enumWord(v&^flags, []constant{{unix.SOCK_STREAM, "SOCK_STREAM"}, {unix.SOCK_DGRAM, "SOCK_DGRAM"}, {unix.SOCK_SEQPACKET, "SOCK_SEQPACKET"}, {unix.SOCK_RAW, "SOCK_RAW"}})
	if v&flags != 0 {
		s += "|" + flagWords(v&flags, []constant{{unix.SOCK_CLOEXEC, "SOCK_CLOEXEC"}, {unix.SOCK_NONBLOCK, "SOCK_NONBLOCK"}})
	}
	return s
}

// policyWord writes the mode of a memory policy and its flags.
func policyWord(v uint64) string {
	const flags = unix.MPOL_F_STATIC_NODES | unix.MPOL_F_RELATIVE_NODES | unix.MPOL_F_NUMA_BALANCING
	s := enumWord(v&^flags, enumSet(calls.MemPolicy))
	if v&flags != 0 {
		s += "|" + flagWords(v&flags, words(enum.MemoryFlags, ""))
	}
	return s
}

// ioprioWord writes an I/O priority.
//
// Source: ioprio_set(2); linux/ioprio.h.
func ioprioWord(v uint64) string {
	class := enumWord(v>>13, append(words(enum.IOClasses, ""), constant{0, "IOPRIO_CLASS_NONE"}))
	return class + "|" + intWord(v&(1<<13-1))
}

// flagSet gives the bits of a kind of flag word.
func flagSet(kind calls.Kind) []constant {
	switch kind {
	case calls.Open:
		return []constant{{unix.O_TMPFILE, "O_TMPFILE"}, {unix.O_SYNC, "O_SYNC"}, {unix.O_PATH, "O_PATH"}, {unix.O_CREAT, "O_CREAT"},
			{unix.O_EXCL, "O_EXCL"}, {unix.O_TRUNC, "O_TRUNC"}, {unix.O_APPEND, "O_APPEND"}, {unix.O_DIRECTORY, "O_DIRECTORY"},
			{unix.O_NOFOLLOW, "O_NOFOLLOW"}, {unix.O_NONBLOCK, "O_NONBLOCK"}, {unix.O_NOCTTY, "O_NOCTTY"}, {unix.O_NOATIME, "O_NOATIME"},
			{unix.O_DSYNC, "O_DSYNC"}, {unix.O_DIRECT, "O_DIRECT"}, {unix.O_ASYNC, "O_ASYNC"}, {unix.O_CLOEXEC, "O_CLOEXEC"}, {unix.O_LARGEFILE, "O_LARGEFILE"}}
	case calls.Resolve:
		return []constant{{unix.RESOLVE_IN_ROOT, "RESOLVE_IN_ROOT"}, {unix.RESOLVE_BENEATH, "RESOLVE_BENEATH"}, {unix.RESOLVE_NO_MAGICLINKS, "RESOLVE_NO_MAGICLINKS"},
			{unix.RESOLVE_NO_SYMLINKS, "RESOLVE_NO_SYMLINKS"}, {unix.RESOLVE_NO_XDEV, "RESOLVE_NO_XDEV"}, {0x20, "RESOLVE_CACHED"}}
	case calls.At:
		return []constant{{unix.AT_EMPTY_PATH, "AT_EMPTY_PATH"}, {unix.AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"}, {unix.AT_SYMLINK_FOLLOW, "AT_SYMLINK_FOLLOW"},
			{unix.AT_NO_AUTOMOUNT, "AT_NO_AUTOMOUNT"}, {unix.AT_RECURSIVE, "AT_RECURSIVE"},
			{unix.AT_STATX_FORCE_SYNC, "AT_STATX_FORCE_SYNC"}, {unix.AT_STATX_DONT_SYNC, "AT_STATX_DONT_SYNC"}}
	case calls.AtUnlink:
		return []constant{{unix.AT_REMOVEDIR, "AT_REMOVEDIR"}}
	case calls.AtAccess:
		return []constant{{unix.AT_EACCESS, "AT_EACCESS"}, {unix.AT_EMPTY_PATH, "AT_EMPTY_PATH"}, {unix.AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"}}
	case calls.Access:
		return []constant{{4, "R_OK"}, {2, "W_OK"}, {1, "X_OK"}}
	case calls.StatxMask:
		return []constant{{unix.STATX_BASIC_STATS, "STATX_BASIC_STATS"}, {unix.STATX_TYPE, "STATX_TYPE"}, {unix.STATX_MODE, "STATX_MODE"},
			{unix.STATX_NLINK, "STATX_NLINK"}, {unix.STATX_UID, "STATX_UID"}, {unix.STATX_GID, "STATX_GID"}, {unix.STATX_INO, "STATX_INO"},
			{unix.STATX_SIZE, "STATX_SIZE"}, {unix.STATX_MNT_ID, "STATX_MNT_ID"}, {unix.STATX_MNT_ID_UNIQUE, "STATX_MNT_ID_UNIQUE"}}
	case calls.Memfd:
		return []constant{{unix.MFD_CLOEXEC, "MFD_CLOEXEC"}, {unix.MFD_ALLOW_SEALING, "MFD_ALLOW_SEALING"}, {unix.MFD_NOEXEC_SEAL, "MFD_NOEXEC_SEAL"}, {unix.MFD_EXEC, "MFD_EXEC"}}
	case calls.CloseRange:
		return []constant{{unix.CLOSE_RANGE_UNSHARE, "CLOSE_RANGE_UNSHARE"}, {unix.CLOSE_RANGE_CLOEXEC, "CLOSE_RANGE_CLOEXEC"}}
	case calls.Wait:
		return []constant{{unix.WNOHANG, "WNOHANG"}, {unix.WEXITED, "WEXITED"}, {unix.WSTOPPED, "WSTOPPED"}, {unix.WCONTINUED, "WCONTINUED"},
			{unix.WNOWAIT, "WNOWAIT"}, {unix.WALL, "__WALL"}, {unix.WCLONE, "__WCLONE"}}
	case calls.SeccompFlag:
		return []constant{{unix.SECCOMP_FILTER_FLAG_TSYNC, "SECCOMP_FILTER_FLAG_TSYNC"}, {unix.SECCOMP_FILTER_FLAG_LOG, "SECCOMP_FILTER_FLAG_LOG"},
			{unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, "SECCOMP_FILTER_FLAG_SPEC_ALLOW"}, {unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, "SECCOMP_FILTER_FLAG_NEW_LISTENER"},
			{unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH, "SECCOMP_FILTER_FLAG_TSYNC_ESRCH"}, {unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"}}
	case calls.Securebits: // capabilities(7)
		return []constant{{1 << 0, "SECBIT_NOROOT"}, {1 << 1, "SECBIT_NOROOT_LOCKED"}, {1 << 2, "SECBIT_NO_SETUID_FIXUP"}, {1 << 3, "SECBIT_NO_SETUID_FIXUP_LOCKED"},
			{1 << 4, "SECBIT_KEEP_CAPS"}, {1 << 5, "SECBIT_KEEP_CAPS_LOCKED"}, {1 << 6, "SECBIT_NO_CAP_AMBIENT_RAISE"}, {1 << 7, "SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED"}}
	case calls.CloneFlags:
		return cloneFlags()
	}
	return mountFlags(kind)
}

// cloneFlags are the flags of clone3, unshare and setns.
func cloneFlags() []constant {
	return []constant{{unix.CLONE_NEWUSER, "CLONE_NEWUSER"}, {unix.CLONE_NEWPID, "CLONE_NEWPID"}, {unix.CLONE_NEWNS, "CLONE_NEWNS"}, {unix.CLONE_NEWNET, "CLONE_NEWNET"},
		{unix.CLONE_NEWIPC, "CLONE_NEWIPC"}, {unix.CLONE_NEWUTS, "CLONE_NEWUTS"}, {unix.CLONE_NEWCGROUP, "CLONE_NEWCGROUP"}, {unix.CLONE_NEWTIME, "CLONE_NEWTIME"},
		{unix.CLONE_PARENT, "CLONE_PARENT"}, {unix.CLONE_PIDFD, "CLONE_PIDFD"}, {unix.CLONE_INTO_CGROUP, "CLONE_INTO_CGROUP"}, {unix.CLONE_CLEAR_SIGHAND, "CLONE_CLEAR_SIGHAND"},
		{unix.CLONE_VM, "CLONE_VM"}, {unix.CLONE_VFORK, "CLONE_VFORK"}, {unix.CLONE_FS, "CLONE_FS"}, {unix.CLONE_FILES, "CLONE_FILES"}, {unix.CLONE_SIGHAND, "CLONE_SIGHAND"},
		{unix.CLONE_THREAD, "CLONE_THREAD"}, {unix.CLONE_SYSVSEM, "CLONE_SYSVSEM"}, {unix.CLONE_IO, "CLONE_IO"}, {unix.CLONE_UNTRACED, "CLONE_UNTRACED"}}
}

func mountFlags(kind calls.Kind) []constant {
	switch kind {
	case calls.Mount:
		return []constant{{unix.MS_BIND, "MS_BIND"}, {unix.MS_REMOUNT, "MS_REMOUNT"}, {unix.MS_MOVE, "MS_MOVE"}, {unix.MS_REC, "MS_REC"}, {unix.MS_PRIVATE, "MS_PRIVATE"},
			{unix.MS_SLAVE, "MS_SLAVE"}, {unix.MS_SHARED, "MS_SHARED"}, {unix.MS_UNBINDABLE, "MS_UNBINDABLE"}, {unix.MS_RDONLY, "MS_RDONLY"}, {unix.MS_NOSUID, "MS_NOSUID"},
			{unix.MS_NODEV, "MS_NODEV"}, {unix.MS_NOEXEC, "MS_NOEXEC"}, {unix.MS_NOATIME, "MS_NOATIME"}, {unix.MS_NODIRATIME, "MS_NODIRATIME"},
			{unix.MS_RELATIME, "MS_RELATIME"}, {unix.MS_STRICTATIME, "MS_STRICTATIME"}, {unix.MS_LAZYTIME, "MS_LAZYTIME"}, {unix.MS_NOSYMFOLLOW, "MS_NOSYMFOLLOW"},
			{unix.MS_SYNCHRONOUS, "MS_SYNCHRONOUS"}, {unix.MS_DIRSYNC, "MS_DIRSYNC"}, {unix.MS_MANDLOCK, "MS_MANDLOCK"}, {unix.MS_SILENT, "MS_SILENT"},
			{unix.MS_POSIXACL, "MS_POSIXACL"}, {unix.MS_I_VERSION, "MS_I_VERSION"}}
	case calls.Umount:
		return []constant{{unix.MNT_DETACH, "MNT_DETACH"}, {unix.MNT_FORCE, "MNT_FORCE"}, {unix.MNT_EXPIRE, "MNT_EXPIRE"}, {unix.UMOUNT_NOFOLLOW, "UMOUNT_NOFOLLOW"}}
	case calls.Tree:
		return append([]constant{{unix.OPEN_TREE_CLONE, "OPEN_TREE_CLONE"}, {unix.O_CLOEXEC, "OPEN_TREE_CLOEXEC"}}, flagSet(calls.At)...)
	case calls.MoveMount:
		return []constant{{unix.MOVE_MOUNT_F_EMPTY_PATH, "MOVE_MOUNT_F_EMPTY_PATH"}, {unix.MOVE_MOUNT_T_EMPTY_PATH, "MOVE_MOUNT_T_EMPTY_PATH"},
			{unix.MOVE_MOUNT_F_SYMLINKS, "MOVE_MOUNT_F_SYMLINKS"}, {unix.MOVE_MOUNT_T_SYMLINKS, "MOVE_MOUNT_T_SYMLINKS"},
			{unix.MOVE_MOUNT_F_AUTOMOUNTS, "MOVE_MOUNT_F_AUTOMOUNTS"}, {unix.MOVE_MOUNT_T_AUTOMOUNTS, "MOVE_MOUNT_T_AUTOMOUNTS"},
			{unix.MOVE_MOUNT_SET_GROUP, "MOVE_MOUNT_SET_GROUP"}, {0x200, "MOVE_MOUNT_BENEATH"}}
	case calls.FsOpen:
		return []constant{{unix.FSOPEN_CLOEXEC, "FSOPEN_CLOEXEC"}}
	case calls.FsMount:
		return []constant{{unix.FSMOUNT_CLOEXEC, "FSMOUNT_CLOEXEC"}}
	case calls.Attr:
		return []constant{{unix.MOUNT_ATTR__ATIME, "MOUNT_ATTR__ATIME"}, {unix.MOUNT_ATTR_RDONLY, "MOUNT_ATTR_RDONLY"}, {unix.MOUNT_ATTR_NOSUID, "MOUNT_ATTR_NOSUID"},
			{unix.MOUNT_ATTR_NODEV, "MOUNT_ATTR_NODEV"}, {unix.MOUNT_ATTR_NOEXEC, "MOUNT_ATTR_NOEXEC"}, {unix.MOUNT_ATTR_NOATIME, "MOUNT_ATTR_NOATIME"},
			{unix.MOUNT_ATTR_STRICTATIME, "MOUNT_ATTR_STRICTATIME"}, {unix.MOUNT_ATTR_NODIRATIME, "MOUNT_ATTR_NODIRATIME"},
			{unix.MOUNT_ATTR_IDMAP, "MOUNT_ATTR_IDMAP"}, {unix.MOUNT_ATTR_NOSYMFOLLOW, "MOUNT_ATTR_NOSYMFOLLOW"}}
	}
	return nil
}
