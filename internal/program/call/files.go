package call

import (
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/id32"
	"github.com/hutch-project/hutch/internal/program"
)

// Read reads up to the length of m into it.
func Read(b *program.Builder, fd Fd, m program.Mem) program.Call {
	return b.Sys(unix.SYS_READ, arg(fd), m.Arg(), program.Imm(m.Len))
}

// WriteString writes s.
func WriteString(b *program.Builder, fd Fd, s string) program.Call {
	return b.Sys(unix.SYS_WRITE, arg(fd), b.Str(s), program.Imm(len(s)))
}

// Write writes the first n bytes of m.
func Write(b *program.Builder, fd Fd, m program.Mem, n Num) program.Call {
	return b.Sys(unix.SYS_WRITE, arg(fd), m.Arg(), arg(n))
}

// Pwrite64 writes p at the place off.
func Pwrite64(b *program.Builder, fd Fd, p []byte, off int64) program.Call {
	return b.Sys(unix.SYS_PWRITE64, arg(fd), b.Bytes(p).Arg(), program.Imm(len(p)), program.Imm(off))
}

// Whence is what lseek counts from, or looks for.
type Whence uint8

const (
	SeekSet Whence = iota
	SeekCur
	SeekEnd
	SeekData
	SeekHole
)

func Lseek(b *program.Builder, fd Fd, off Num, whence Whence) program.Call {
	return b.Sys(unix.SYS_LSEEK, arg(fd), arg(off), imm(uint64(whence)))
}

func Ftruncate(b *program.Builder, fd Fd, size Num) program.Call {
	return b.Sys(unix.SYS_FTRUNCATE, arg(fd), arg(size))
}

// Sendfile copies n bytes from the place that from is at.
func Sendfile(b *program.Builder, to, from Fd, n Num) program.Call {
	return b.Sys(unix.SYS_SENDFILE, arg(to), arg(from), none(), arg(n))
}

func Getdents64(b *program.Builder, fd Fd, m program.Mem) program.Call {
	return b.Sys(unix.SYS_GETDENTS64, arg(fd), m.Arg(), program.Imm(m.Len))
}

func Fstatfs(b *program.Builder, fd Fd, m program.Mem) program.Call {
	return b.Sys(unix.SYS_FSTATFS, arg(fd), m.Arg())
}

func Statfs(b *program.Builder, path Path, m program.Mem) program.Call {
	return b.Sys(unix.SYS_STATFS, arg(path), m.Arg())
}

func Statx(b *program.Builder, dir Fd, path Path, flags, mask uint64, m program.Mem) program.Call {
	return b.Sys(unix.SYS_STATX, arg(dir), arg(path), imm(flags), imm(mask), m.Arg())
}

func Close(b *program.Builder, fd Fd) program.Call { return b.Sys(unix.SYS_CLOSE, arg(fd)) }

func Dup(b *program.Builder, fd Fd) program.Call { return b.Sys(unix.SYS_DUP, arg(fd)) }

func Dup3(b *program.Builder, fd Fd, to Target, flags uint64) program.Call {
	return b.Sys(unix.SYS_DUP3, arg(fd), arg(to), imm(flags))
}

func MemfdCreate(b *program.Builder, name string, flags uint64) program.Call {
	return b.Sys(unix.SYS_MEMFD_CREATE, b.Str(name), imm(flags))
}

func Socket(b *program.Builder, family, kind, protocol uint64) program.Call {
	return b.Sys(unix.SYS_SOCKET, imm(family), imm(kind), imm(protocol))
}

// IoctlUnlock lets the other end of the terminal be opened.
//
// Source: ioctl_tty(2), TIOCSPTLCK.
func IoctlUnlock(b *program.Builder, ptmx Fd) program.Call {
	return b.Sys(unix.SYS_IOCTL, arg(ptmx), program.Imm(unix.TIOCSPTLCK), b.Zero(4).Arg())
}

// IoctlPeer opens the other end of the terminal.
//
// Source: ioctl_tty(2), TIOCGPTPEER.
func IoctlPeer(b *program.Builder, ptmx Fd, flags uint64) program.Call {
	return b.Sys(unix.SYS_IOCTL, arg(ptmx), program.Imm(unix.TIOCGPTPEER), imm(flags))
}

// IoctlControl makes the terminal the controlling one.
//
// Source: ioctl_tty(2), TIOCSCTTY.
func IoctlControl(b *program.Builder, tty Fd) program.Call {
	return b.Sys(unix.SYS_IOCTL, arg(tty), program.Imm(unix.TIOCSCTTY), none())
}

func IoctlWinsize(b *program.Builder, tty Fd, size unix.Winsize) program.Call {
	return b.Sys(unix.SYS_IOCTL, arg(tty), program.Imm(unix.TIOCSWINSZ), program.Struct(b, &size).Arg())
}

// IoctlIfFlags sets the flags of a network interface; m is a struct ifreq.
//
// Source: netdevice(7), SIOCSIFFLAGS.
func IoctlIfFlags(b *program.Builder, socket Fd, m program.Mem) program.Call {
	return b.Sys(unix.SYS_IOCTL, arg(socket), program.Imm(unix.SIOCSIFFLAGS), m.Arg())
}

// IoctlNsType asks for the type of a namespace, as a CLONE_NEW flag.
//
// Source: ioctl_nsfs(2), NS_GET_NSTYPE.
func IoctlNsType(b *program.Builder, ns Fd) program.Call {
	return b.Sys(unix.SYS_IOCTL, arg(ns), program.Imm(unix.NS_GET_NSTYPE))
}

// Openat follows magic links, and leads out of dir: it is for paths of the host.
func Openat(b *program.Builder, dir Fd, path Path, flags uint64) program.Call {
	return b.Sys(unix.SYS_OPENAT, arg(dir), arg(path), imm(flags))
}

// How is the way openat2 opens.
type How = unix.OpenHow

func Openat2(b *program.Builder, dir Fd, path Path, how How) program.Call {
	return b.Sys(unix.SYS_OPENAT2, arg(dir), arg(path), program.Struct(b, &how).Arg(), program.Imm(unix.SizeofOpenHow))
}

func Mkdirat(b *program.Builder, dir Fd, name Path, mode uint32) program.Call {
	return b.Sys(unix.SYS_MKDIRAT, arg(dir), arg(name), program.Imm(mode))
}

// Mknodat makes a file of the type that mode has; dev is a device's number, see
// unix.Mkdev.
func Mknodat(b *program.Builder, dir Fd, name Path, mode uint32, dev uint64) program.Call {
	return b.Sys(unix.SYS_MKNODAT, arg(dir), arg(name), program.Imm(mode), imm(dev))
}

// Symlinkat makes the link name, which leads to to.
func Symlinkat(b *program.Builder, to Text, dir Fd, name Path) program.Call {
	return b.Sys(unix.SYS_SYMLINKAT, arg(to), arg(dir), arg(name))
}

func Unlinkat(b *program.Builder, dir Fd, name Path, flags uint64) program.Call {
	return b.Sys(unix.SYS_UNLINKAT, arg(dir), arg(name), imm(flags))
}

func Readlinkat(b *program.Builder, dir Fd, name Path, m program.Mem) program.Call {
	return b.Sys(unix.SYS_READLINKAT, arg(dir), arg(name), m.Arg(), program.Imm(m.Len))
}

// Fchmodat follows a symbolic link: the call has no flags.
func Fchmodat(b *program.Builder, dir Fd, name Path, mode Num) program.Call {
	return b.Sys(unix.SYS_FCHMODAT, arg(dir), arg(name), arg(mode))
}

// Owner is who a file is given to; -1 leaves one of them as it is.
type Owner struct{ UID, GID Num }

func Fchownat(b *program.Builder, dir Fd, name Path, o Owner, flags uint64) program.Call {
	return b.Sys(unix.SYS_FCHOWNAT, arg(dir), arg(name), arg(o.UID), arg(o.GID), imm(flags))
}

func Fchown(b *program.Builder, fd Fd, o Owner) program.Call {
	return b.Sys(id32.Fchown, arg(fd), arg(o.UID), arg(o.GID))
}

// Faccessat asks for the real ids.
func Faccessat(b *program.Builder, dir Fd, path Path, mode uint64) program.Call {
	return b.Sys(unix.SYS_FACCESSAT, arg(dir), arg(path), imm(mode))
}

func Faccessat2(b *program.Builder, dir Fd, path Path, mode, flags uint64) program.Call {
	return b.Sys(unix.SYS_FACCESSAT2, arg(dir), arg(path), imm(mode), imm(flags))
}

func Fchdir(b *program.Builder, fd Fd) program.Call { return b.Sys(unix.SYS_FCHDIR, arg(fd)) }

func Getcwd(b *program.Builder, m program.Mem) program.Call {
	return b.Sys(unix.SYS_GETCWD, m.Arg(), program.Imm(m.Len))
}

func Chroot(b *program.Builder, path Path) program.Call { return b.Sys(unix.SYS_CHROOT, arg(path)) }

func Umask(b *program.Builder, mask Num) program.Call { return b.Sys(unix.SYS_UMASK, arg(mask)) }
