package rootfs

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/program/call/idiom"
	"github.com/hutch-project/hutch/internal/program/spawn"
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
	copyEnter    // go to the directory name in both; struct statx of the source's
	copyMkdir    // make the directory name
	copyReadlink // where the link name leads
	copySymlink  // make the link name; its target follows as a message of linkLen bytes
	copyChown    // give name to user a and group b
	copyChmod    // give name the mode a
	copyOpen     // open the regular file name, and make it in the target directory; its struct statx
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
	b = b.Step(program.T("copy the content of %s up", s.dest))
	c := &copyServer{
		b: b, tag: uint32(CopyUpTag + i), from: b.RegOf(-1), to: b.RegOf(-1), value: b.Reg(),
		req: b.Zero(requestLen), data: b.Zero(program.MaxData), loop: b.Label(), tell: b.Label(),
	}
	// Each twice: in and out go from directory to directory, and copyTop sets them back to
	// src and dst.
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
	b.Fail(unix.EINVAL) // an operation that is none
	c.directories(places)
	c.files(places)
	b.Bind(done)
	for _, fd := range [...]program.Reg{c.in, c.out, c.src, c.dst} {
		call.Close(b, call.In(fd))
	}
}

// name returns the entry that a request names.
func (c *copyServer) name() call.Path {
	return call.PathIn(idiom.Part(c.req, requestName, nameMax+1))
}

// number1 and number2 are a request's numbers a and b.
func (c *copyServer) number1() call.Num { return call.Value(c.req.Reg(requestA)) }
func (c *copyServer) number2() call.Num { return call.Value(c.req.Reg(requestB)) }

// answer emits what follows the one call of an operation, whose result is the answer.
func (c *copyServer) answer(made program.Call) {
	made.To(c.value).Ignore()
	c.b.Jump(c.tell)
}

// answerData is answer for a call whose result is the number of bytes in data that are
// the answer.
func (c *copyServer) answerData(made program.Call) {
	made.To(c.value).Ignore()
	c.b.If(c.value, program.Lt, 1, c.tell)
	c.b.TellData(c.tag, c.data, c.value)
	c.b.Jump(c.loop)
}

// answerInfo is answer with the struct statx in data.
func (c *copyServer) answerInfo() {
	c.b.TellData(c.tag, c.data, c.b.RegOf(idiom.StatxSize))
	c.b.Jump(c.loop)
}

// openIn emits the opening of the entry of a current directory into fd.
func (c *copyServer) openIn(dir, fd program.Reg, flags uint64) {
	how := call.How{Flags: flags | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: beneath}
	if flags&unix.O_CREAT != 0 {
		how.Mode = 0o600
	}
	call.Openat2(c.b, call.In(dir), c.name(), how).To(fd).Ignore()
}

// directories emits the operations on directories and names.
func (c *copyServer) directories(place []program.Label) {
	b := c.b
	b.Bind(place[copyList])
	c.answerData(call.Getdents64(b, call.In(c.in), c.data))
	b.Bind(place[copyReadlink])
	c.answerData(call.Readlinkat(b, call.In(c.in), c.name(), c.data))
	b.Bind(place[copyMkdir])
	// Nobody else's until owner and mode are set.
	c.answer(call.Mkdirat(b, call.In(c.out), c.name(), 0o700))
	b.Bind(place[copyChown])
	owner := call.Owner{UID: c.number1(), GID: c.number2()}
	c.answer(call.Fchownat(b, call.In(c.out), c.name(), owner, unix.AT_SYMLINK_NOFOLLOW))
	b.Bind(place[copyChmod])
	c.answer(call.Fchmodat(b, call.In(c.out), c.name(), c.number1()))

	b.Bind(place[copyStat])
	call.Statx(b, call.In(c.in), c.name(), unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, c.data).To(c.value).Ignore()
	b.If(c.value, program.Ne, 0, c.tell)
	c.answerInfo()

	link := b.Zero(linkLen)
	b.Bind(place[copySymlink])
	b.Wait(c.tag, link)
	call.Symlinkat(b, call.TextIn(link), call.In(c.out), c.name()).To(c.value).Ignore()
	b.Jump(c.tell)

	b.Bind(place[copyTop])
	call.Dup3(b, call.In(c.src), call.Over(c.in), unix.O_CLOEXEC)
	call.Dup3(b, call.In(c.dst), call.Over(c.out), unix.O_CLOEXEC).To(c.value)
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
		call.Dup3(b, call.In(sub), call.Over(dir), unix.O_CLOEXEC).To(c.value)
		call.Close(b, call.In(sub))
	}
	statx(b, c.in, c.data) // of what is open, not of what has the name by now
	c.answerInfo()
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
	b.IfWord(idiom.Part(c.data, idiom.StatxMode, 2), unix.S_IFMT, program.Eq, unix.S_IFREG, regular)
	call.Close(b, call.In(c.from))
	b.Tell(c.tag, b.RegOf(-int64(notRegular)))
	b.Jump(c.loop)
	b.Bind(regular)
	c.openIn(c.out, c.to, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	b.If(c.to, program.Lt, 0, shut)
	c.answerInfo()
	b.Bind(shut)
	call.Close(b, call.In(c.from))
	b.Tell(c.tag, c.to)
	b.Jump(c.loop)

	b.Bind(place[copyData])
	c.answer(call.Lseek(b, call.In(c.from), c.number1(), call.SeekData))
	b.Bind(place[copyHole])
	c.answer(call.Lseek(b, call.In(c.from), c.number1(), call.SeekHole))
	b.Bind(place[copySize])
	c.answer(call.Ftruncate(b, call.In(c.to), c.number1()))

	b.Bind(place[copySend])
	for _, fd := range [...]program.Reg{c.from, c.to} {
		call.Lseek(b, call.In(fd), c.number1(), call.SeekSet).To(c.value).Ignore()
		b.If(c.value, program.Lt, 0, c.tell)
	}
	call.Sendfile(b, call.In(c.to), call.In(c.from), c.number2()).To(c.value).Ignore()
	b.Jump(c.tell)

	b.Bind(place[copyClose])
	call.Close(b, call.In(c.from)).Ignore()
	call.Close(b, call.In(c.to)).To(c.value).Ignore()
	b.Jump(c.tell)
}

// handleCopyUp steers the copy of the mount that e is of, to its end.
func (r *Root) handleCopyUp(c *spawn.Child, e spawn.Event) error {
	cp := &copier{child: c, tag: e.Tag, left: maxReturns}
	if err := cp.tree(nil); err != nil {
		if i := int(e.Tag - CopyUpTag); i < len(r.mounts) {
			err = fmt.Errorf("mounts[%d]: copy the content of %s up: %w", i, r.mounts[i].dest, err)
		}
		return err
	}
	return cp.send(&copyRequest{op: copyEnd})
}
