package process

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// StreamFiles looks at three descriptors: the standard ones, or those of the runtime that
// Streams puts in their place.
func StreamFiles(fds [3]int) [3]StdFile {
	var out [3]StdFile
	for i, fd := range fds {
		out[i] = stdFile(fd)
	}
	return out
}

// OfOthers reports whether one of the files can be handed over to a user whose own it is not.
func OfOthers(std [3]StdFile, own func(uid uint32) bool) bool {
	return slices.ContainsFunc(std[:], func(f StdFile) bool { return f.owned() && !own(f.UID) })
}

func (f StdFile) owned() bool { return f.Open && !f.Null && !f.Device }

// HandOver makes uid, in the runtime's user namespace, the owner of the files std that the
// descriptors fds lead to, as Stdio does in the process: that has no rights over the files
// of users who are not mapped in its user namespace. What cannot be handed over stays.
func HandOver(fds [3]int, std [3]StdFile, uid uint32) {
	for i, f := range std {
		if f.owned() && f.UID != uid {
			_ = unix.Fchown(fds[i], int(uid), -1)
		}
	}
}

// Streams emits the putting of three descriptors of the runtime on 0, 1 and 2, and returns
// the registers that are to hold them when the child is made. None of them may be 0, 1 or
// 2 itself: the first would be gone before the second is looked for.
//
// It comes before all else of a process: what follows takes descriptors 0, 1 and 2 for
// those that the process is to have.
//
// Source: dup(2), dup3.
func Streams(b *program.Builder) (regs [3]program.Reg) {
	b.Element(program.T("process"))
	b.Doing(program.T("put the streams that the caller gives on descriptors 0, 1 and 2"))
	for fd := range regs {
		regs[fd] = b.RegOf(-1)
		call.Dup3(b, call.In(regs[fd]), call.As(fd), 0)
	}
	return regs
}

// stdFile looks at one descriptor.
func stdFile(fd int) StdFile {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return StdFile{}
	}
	kind := st.Mode & unix.S_IFMT
	null := kind == unix.S_IFCHR && uint64(st.Rdev) == unix.Mkdev(nullMajor, nullMinor)
	return StdFile{
		Open: true, Null: null, Device: !null && (kind == unix.S_IFCHR || kind == unix.S_IFBLK), UID: st.Uid,
		Pipe: kind == unix.S_IFIFO, File: null || kind == unix.S_IFREG, Dev: uint64(st.Dev), Inode: st.Ino,
	}
}

// LowSocket emits the moving of the socket to the runtime to a low number. result.fifo takes
// its place later, when the process's own limit of open files holds, which no number may
// be above: in a program that has a thousand files open the socket's is. It comes when the
// others are closed.
//
// A file in memory finds the number: dup3 is what the program needs anyway.
//
// Source: dup(2), "EBADF".
func LowSocket(b *program.Builder) {
	b.Element(program.T("process"))
	b.Doing(program.T("move the socket to the runtime to a low number"))
	low := call.MemfdCreate(b, "socket", unix.MFD_CLOEXEC).Fd()
	call.Dup3(b, call.In(b.Sync()), call.Over(low), unix.O_CLOEXEC).To(b.Sync())
}
