// Package idiom has the short sequences of calls that several parts emit, and the layout
// of the kernel's structures into which they look.
package idiom

import (
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/machine"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// Offsets in struct statx, which is the same on all architectures, and sizes.
//
// Source: statx(2), statfs(2).
const (
	StatxSize       = 256
	StatxAttributes = 8
	StatxMode       = 28
	StatxMajor      = 128 // of the device that a special file stands for
	StatxMinor      = 132

	// StatfsSize has room for struct statfs. Its type comes first; 4 bytes of it matter,
	// which are the first on every architecture with Go.
	StatfsSize = 128
)

// StatfsFlags returns the flags of the mount in a buffer of statfs, of which the lowest
// 32 bits matter.
func StatfsFlags(m program.Mem) program.Mem { return Part(m, machine.StatfsFlags(), 4) }

// Part returns the n bytes at off of a buffer, for comparisons.
func Part(m program.Mem, off, n uint32) program.Mem { return program.Mem{Off: m.Off + off, Len: n} }

// FileMode returns the mode in a buffer of statx.
func FileMode(statx program.Mem) program.Mem { return Part(statx, StatxMode, 2) }

// MustBeOn emits the proof that a descriptor is on a file system of the type magic;
// otherwise the program fails with errno under the label of b.
func MustBeOn(b *program.Builder, fd program.Reg, magic int64, errno unix.Errno) {
	buf, ok := b.Zero(StatfsSize), b.Label()
	call.Fstatfs(b, call.In(fd), buf)
	b.IfWord(Part(buf, 0, 4), -1, program.Eq, magic, ok)
	b.Fail(errno)
	b.Bind(ok)
}

// InRoot are the RESOLVE_ flags that follow symbolic links as if the directory were "/".
const InRoot = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS

// OpenIn emits openat2 of path below dir, close-on-exec.
func OpenIn(b *program.Builder, dir program.Reg, path string, flags, resolve uint64) program.Call {
	return call.Openat2(b, call.In(dir), call.PathTo(b, path), call.How{Flags: flags | unix.O_CLOEXEC, Resolve: resolve})
}

// Which symbolic links WriteProc follows.
const (
	NoLink   = unix.RESOLVE_NO_SYMLINKS
	SelfLink = unix.RESOLVE_NO_MAGICLINKS // /proc/self
)

// WriteProc emits the writing of text to the file path of the procfs proc, which is
// Hutch's own, and returns its descriptor. Nothing that the container has mounted is
// reached, nor any file that is not below proc. The two calls have the labels of open
// and of write.
//
// Source: openat2(2); CVE-2025-52881, CVE-2019-16884.
func WriteProc(open, write *program.Builder, proc program.Reg, path, text string, links uint64) program.Reg {
	fd := OpenIn(open, proc, path, unix.O_WRONLY, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_XDEV|links).Fd()
	call.WriteString(write, call.In(fd), text)
	return fd
}
