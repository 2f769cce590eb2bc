package user

import (
	"encoding/binary"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/kernelfs"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/program/call/idiom"
)

// HomeTag is the tag by which the process sends the parent its passwd file, piece by
// piece, and waits for HomeReply after each. A message without data is the file's end.
const HomeTag = 0x100

// homeLen is the length of the answer: a word that is 0 when it asks for the next piece,
// then the variable.
const (
	homeWord = 8
	homeLen  = homeWord + unix.PathMax + 8
)

// HomeReply returns the answer to HomeTag: the variable HOME. A dir that is no path for
// its length or a NUL is replaced by the root directory.
func HomeReply(dir string) []byte {
	if len(dir) >= unix.PathMax || strings.IndexByte(dir, 0) >= 0 {
		dir = "/"
	}
	b := HomeMore()
	binary.NativeEndian.PutUint64(b, 1)
	copy(b[homeWord:], "HOME="+dir)
	return b
}

// HomeMore returns the answer to HomeTag that asks for the next piece.
func HomeMore() []byte { return make([]byte, homeLen) }

// AskHome emits the question for the home directory, which is / where there is no
// /etc/passwd. The process reads the file itself, with the rights of the container and on
// its account, and only a regular file that is no interface of the kernel's: /proc/kmsg
// would give the host's log away. It returns the variable HOME.
func AskHome(b *program.Builder) program.Mem {
	reply := b.Bytes(HomeReply("/"))
	b = b.Doing(program.T("find HOME in /etc/passwd of the container"))
	r := b.Reg()
	piece, end, done, closeIt := b.Label(), b.Label(), b.Label(), b.Label()
	fd := openRegular(b, NameFiles[0], r, done, closeIt)
	data := b.Zero(program.MaxData)
	b.Bind(piece)
	call.Read(b, call.In(fd), data).To(r).Ignore()
	b.If(r, program.Lt, 1, end)
	b.TellData(HomeTag, data, r)
	b.Wait(HomeTag, reply)
	b.If(reply.Reg(0), program.Eq, 0, piece)
	b.Jump(closeIt)
	b.Bind(end)
	b.Tell(HomeTag, 0)
	b.Wait(HomeTag, reply)
	b.Bind(closeIt)
	call.Close(b, call.In(fd))
	b.Bind(done)
	return program.Mem{Off: reply.Off + homeWord, Len: reply.Len - homeWord}
}

// openRegular emits the opening of a file of the image, which has to be a regular one that is
// no interface of the kernel's. An error of openat2 is in the register that it returns, and
// goes on at missing; any other file at refused, with whatever in r.
func openRegular(b *program.Builder, path string, r program.Reg, missing, refused program.Label) program.Reg {
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NOCTTY | unix.O_NONBLOCK, Resolve: unix.RESOLVE_NO_MAGICLINKS}
	fd := b.RegOf(-1)
	// Through no magic link, and without waiting for a fifo's other end.
	call.Openat2(b, call.Cwd(), call.PathTo(b, path), how).To(fd).Ignore()
	b.If(fd, program.Lt, 0, missing)
	buf := b.Zero(idiom.StatxSize)
	call.Statx(b, call.In(fd), call.PathTo(b, ""), unix.AT_EMPTY_PATH, unix.STATX_TYPE, buf).To(r).Ignore()
	b.If(r, program.Ne, 0, refused)
	// Of the file that is open: a look at the name could find another one.
	b.IfWord(idiom.FileMode(buf), unix.S_IFMT, program.Ne, unix.S_IFREG, refused)
	fs := b.Zero(idiom.StatfsSize)
	call.Fstatfs(b, call.In(fd), fs).To(r).Ignore()
	b.If(r, program.Ne, 0, refused)
	for _, magic := range kernelfs.Magics() {
		b.IfWord(program.Mem{Off: fs.Off, Len: 4}, -1, program.Eq, int64(magic), refused)
	}
	return fd
}
