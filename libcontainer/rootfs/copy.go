package rootfs

import (
	"fmt"

	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

// A tmpfs with tmpcopyup begins with what the image has at its place. The child makes
// the copy: it is in the container's cgroups, so that memory and devices are the
// container's, and it has nothing that the container has not. What is to be copied
// cannot be known beforehand, so the parent steers: it asks for one operation after
// the other, of a few that the child's program has. See copier for its side.

// copyRequest asks for one operation.
type copyRequest struct {
	op, a, b uint64
	name     [nameMax + 1]byte // of a directory entry
}

// A request as it is sent: three words, then the name.
const (
	nameMax     = 255 // of all file systems of Linux, in bytes
	requestOp   = 0
	requestA    = 8
	requestB    = 16
	requestName = 24
	requestLen  = requestName + nameMax + 1
)

// The operations. The child answers each but copyEnd with a value of 0 or more or a
// negated errno, some with data. The current directories are those of source and target.
const (
	copyEnd      = iota
	copyList     // entries of the source directory, as getdents64(2) has them; 0 at the end
	copyStat     // struct statx of name in the source directory
	copyTop      // go back to the top in both
	copyEnter    // go to the directory name in both
	copyMkdir    // make the directory name
	copyReadlink // where the link name leads
	copySymlink  // make the link name; its target follows as a message of linkLen bytes
	copyChown    // give name to user a and group b
	copyChmod    // give name the mode a
	copyOpen     // open the regular file name, and make it in the target directory
	copyData     // where data begins in the file from a on; ENXIO at the end
	copyHole     // where data ends in the file from a on
	copySend     // copy b bytes from a on; the value is how many were
	copySize     // give the copy the size a
	copyClose    // close the file and its copy
	copyOps
)

const (
	linkLen = unix.PathMax

	// beneath keeps to one file system and its own directories.
	beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV

	// notRegular is the answer for a file that is none to copy.
	notRegular = unix.EMEDIUMTYPE
)

// copyServer emits the child's side.
type copyServer struct {
	b          *program.Builder
	tag        uint32
	src, dst   program.Reg // the tops
	in, out    program.Reg // the current directories
	from, to   program.Reg // the file that is being copied
	value      program.Reg
	req, data  program.Mem
	loop, tell program.Label
}

// copyUp emits the filling of a new tmpfs with what the image has at its place.
func (r *Root) copyUp(b *program.Builder, i int, s *source, target program.Reg) {
	b.Step(program.T("copy the content of %s up", s.dest))
	c := &copyServer{
		b: b, tag: uint32(CopyUpTag + i), from: b.RegOf(-1), to: b.RegOf(-1), value: b.Reg(),
		req: b.Zero(requestLen), data: b.Zero(program.MaxData), loop: b.Label(), tell: b.Label(),
	}
	c.src = open(b, target, ".", unix.O_RDONLY|unix.O_DIRECTORY, plain).Fd()
	c.dst = open(b, s.tree, ".", unix.O_RDONLY|unix.O_DIRECTORY, plain).Fd()
	c.in = open(b, target, ".", unix.O_RDONLY|unix.O_DIRECTORY, plain).Fd()
	c.out = open(b, s.tree, ".", unix.O_RDONLY|unix.O_DIRECTORY, plain).Fd()
	b.Bind(c.tell)
	b.Tell(c.tag, c.value)
	b.Bind(c.loop)
	b.Wait(c.tag, c.req)
	done := b.Label()
	places := make([]program.Label, copyOps)
	for op := range places {
		places[op] = b.Label()
		if op == copyEnd {
			places[op] = done
		}
		b.If(c.req.Reg(requestOp), program.Eq, int64(op), places[op])
	}
	b.Fail(unix.EINVAL)
	c.directories(places)
	c.files(places)
	b.Bind(done)
	for _, fd := range [...]program.Reg{c.in, c.out, c.src, c.dst} {
		b.Sys(unix.SYS_CLOSE, program.Val(fd))
	}
}

// name is the entry that a request names.
func (c *copyServer) name() program.Arg { return c.req.At(requestName) }

// a and arg are a request's numbers a and b.
func (c *copyServer) a() program.Arg   { return program.Val(c.req.Reg(requestA)) }
func (c *copyServer) arg() program.Arg { return program.Val(c.req.Reg(requestB)) }

// answer emits a call whose result is the answer.
func (c *copyServer) answer(place program.Label, nr uintptr, args ...program.Arg) {
	c.b.Bind(place)
	c.b.Sys(nr, args...).To(c.value).Ignore()
	c.b.Jump(c.tell)
}

// answerData emits a call whose result is the number of bytes in data that are the answer.
func (c *copyServer) answerData(place program.Label, nr uintptr, args ...program.Arg) {
	c.b.Bind(place)
	c.b.Sys(nr, args...).To(c.value).Ignore()
	c.b.If(c.value, program.Lt, 1, c.tell)
	c.b.TellData(c.tag, c.data, c.value)
	c.b.Jump(c.loop)
}

// openIn emits the opening of the entry of a current directory into fd.
func (c *copyServer) openIn(dir, fd program.Reg, flags uint64) {
	how := unix.OpenHow{Flags: flags | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: beneath}
	if flags&unix.O_CREAT != 0 {
		how.Mode = 0o600
	}
	c.b.Sys(unix.SYS_OPENAT2, program.Val(dir), c.name(), program.Struct(c.b, &how).Arg(), program.Imm(unix.SizeofOpenHow)).To(fd).Ignore()
}

// directories emits the operations on directories and names.
func (c *copyServer) directories(place []program.Label) {
	b := c.b
	c.answerData(place[copyList], unix.SYS_GETDENTS64, program.Val(c.in), c.data.Arg(), program.Imm(c.data.Len))
	c.answerData(place[copyReadlink], unix.SYS_READLINKAT, program.Val(c.in), c.name(), c.data.Arg(), program.Imm(c.data.Len))
	c.answer(place[copyMkdir], unix.SYS_MKDIRAT, program.Val(c.out), c.name(), program.Imm(0o700))
	c.answer(place[copyChown], unix.SYS_FCHOWNAT, program.Val(c.out), c.name(), c.a(), c.arg(), program.Imm(unix.AT_SYMLINK_NOFOLLOW))
	c.answer(place[copyChmod], unix.SYS_FCHMODAT, program.Val(c.out), c.name(), c.a())

	b.Bind(place[copyStat])
	size := b.RegOf(statxSize)
	b.Sys(unix.SYS_STATX, program.Val(c.in), c.name(), program.Imm(unix.AT_SYMLINK_NOFOLLOW), program.Imm(unix.STATX_BASIC_STATS), c.data.Arg()).To(c.value).Ignore()
	b.If(c.value, program.Ne, 0, c.tell)
	b.TellData(c.tag, c.data, size)
	b.Jump(c.loop)

	link := b.Zero(linkLen)
	b.Bind(place[copySymlink])
	b.Wait(c.tag, link)
	b.Sys(unix.SYS_SYMLINKAT, link.Arg(), program.Val(c.out), c.name()).To(c.value).Ignore()
	b.Jump(c.tell)

	b.Bind(place[copyTop])
	b.Sys(unix.SYS_DUP3, program.Val(c.src), program.Val(c.in), program.Imm(unix.O_CLOEXEC))
	b.Sys(unix.SYS_DUP3, program.Val(c.dst), program.Val(c.out), program.Imm(unix.O_CLOEXEC)).To(c.value)
	b.Jump(c.tell)

	b.Bind(place[copyEnter])
	sub := b.RegOf(-1)
	for _, dir := range [...]program.Reg{c.in, c.out} {
		c.openIn(dir, sub, unix.O_RDONLY|unix.O_DIRECTORY)
		good := b.Label()
		b.If(sub, program.Ge, 0, good)
		b.Tell(c.tag, sub)
		b.Jump(c.loop)
		b.Bind(good)
		b.Sys(unix.SYS_DUP3, program.Val(sub), program.Val(dir), program.Imm(unix.O_CLOEXEC)).To(c.value)
		b.Sys(unix.SYS_CLOSE, program.Val(sub))
	}
	b.Jump(c.tell)
}

// files emits the operations on one regular file.
func (c *copyServer) files(place []program.Label) {
	b := c.b
	regular, shut := b.Label(), b.Label()
	b.Bind(place[copyOpen])
	c.openIn(c.in, c.from, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	opened := b.Label()
	b.If(c.from, program.Ge, 0, opened)
	b.Tell(c.tag, c.from)
	b.Jump(c.loop)
	b.Bind(opened) // what it was when it was looked at may be another file by now
	statx(b, c.from, c.data)
	b.IfWord(part(c.data, statxMode, 2), unix.S_IFMT, program.Eq, unix.S_IFREG, regular)
	b.Sys(unix.SYS_CLOSE, program.Val(c.from))
	b.Tell(c.tag, b.RegOf(-int64(notRegular)))
	b.Jump(c.loop)
	b.Bind(regular)
	c.openIn(c.out, c.to, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	b.If(c.to, program.Lt, 0, shut)
	b.Tell(c.tag, b.Reg())
	b.Jump(c.loop)
	b.Bind(shut)
	b.Sys(unix.SYS_CLOSE, program.Val(c.from))
	b.Tell(c.tag, c.to)
	b.Jump(c.loop)

	const seekData, seekHole, seekSet = 3, 4, 0
	c.answer(place[copyData], unix.SYS_LSEEK, program.Val(c.from), c.a(), program.Imm(seekData))
	c.answer(place[copyHole], unix.SYS_LSEEK, program.Val(c.from), c.a(), program.Imm(seekHole))
	c.answer(place[copySize], unix.SYS_FTRUNCATE, program.Val(c.to), c.a())

	b.Bind(place[copySend])
	for _, fd := range [...]program.Reg{c.from, c.to} {
		b.Sys(unix.SYS_LSEEK, program.Val(fd), c.a(), program.Imm(seekSet)).To(c.value).Ignore()
		b.If(c.value, program.Lt, 0, c.tell)
	}
	b.Sys(unix.SYS_SENDFILE, program.Val(c.to), program.Val(c.from), program.Imm(0), c.arg()).To(c.value).Ignore()
	b.Jump(c.tell)

	b.Bind(place[copyClose])
	b.Sys(unix.SYS_CLOSE, program.Val(c.from)).Ignore()
	b.Sys(unix.SYS_CLOSE, program.Val(c.to)).To(c.value).Ignore()
	b.Jump(c.tell)
}

// handleCopyUp steers the copy of the mount that e is of, to its end.
func (r *Root) handleCopyUp(c *program.Child, e program.Event) error {
	cp := &copier{child: c, tag: e.Tag}
	if err := cp.tree(nil); err != nil {
		if i := int(e.Tag - CopyUpTag); i < len(r.mounts) {
			err = fmt.Errorf("mounts[%d]: copy the content of %s up: %w", i, r.mounts[i].dest, err)
		}
		return err
	}
	return cp.send(&copyRequest{op: copyEnd})
}
