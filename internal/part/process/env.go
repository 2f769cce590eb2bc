package process

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/kernelfs"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// HomeTag is the tag by which the process sends the parent its passwd file, piece by
// piece, and waits for HomeReply after each. A message without data is the file's end.
const HomeTag = 0x100

// homeLen is the length of the answer: a word that says whether it is one, then the
// variable.
const (
	homeWord = 8
	homeLen  = homeWord + unix.PathMax + 8
)

// HomeReply is the answer to HomeTag: the variable HOME. A dir that is no path
// for its length or a NUL gives the root directory. HomeMore asks for the next piece.
func HomeReply(dir string) []byte {
	if len(dir) >= unix.PathMax || strings.IndexByte(dir, 0) >= 0 {
		dir = "/"
	}
	b := HomeMore()
	binary.NativeEndian.PutUint64(b, 1)
	copy(b[homeWord:], "HOME="+dir)
	return b
}

// HomeMore is the answer to HomeTag that asks for the next piece.
func HomeMore() []byte { return make([]byte, homeLen) }

// Env emits what fills in HOME when the configuration leaves it empty, and gives
// the environment for execve: p's with extra after it. It comes when the process has the
// ids and the capabilities of the container's.
func Env(b *program.Builder, p *specs.Process, extra []string) program.Mem {
	const word = strconv.IntSize / 8
	list := make([]program.Mem, 0, len(p.Env)+len(extra)+1)
	b = b.Element(program.T("process.env"))
	add := func(v string) {
		if strings.IndexByte(v, 0) >= 0 {
			b.Fault(fmt.Errorf("%q %w", v, program.ErrNul))
			return
		}
		list = append(list, b.Bytes(append([]byte(v), 0)))
	}
	home := false
	for _, v := range last(p.Env) {
		if value, is := strings.CutPrefix(v, "HOME="); is {
			if value == "" {
				continue
			}
			home = true
		}
		add(v)
	}
	for _, v := range extra {
		add(v)
	}
	if !home {
		list = append(list, askHome(b))
	}
	m := b.Zero((len(list) + 1) * word)
	for i, v := range list {
		b.Pointer(m, uint32(i*word), v)
	}
	return m
}

// last gives env without the variables that stand there again: a program would
// take the first, and what an engine appends is meant to win.
func last(env []string) []string {
	names := make(map[string]bool, len(env))
	out := make([]string, len(env))
	i := len(out)
	for j := len(env) - 1; j >= 0; j-- {
		name, _, _ := strings.Cut(env[j], "=")
		if !names[name] {
			names[name] = true
			i--
			out[i] = env[j]
		}
	}
	return out[i:]
}

// askHome emits the question for the home directory, which is / where there is no
// /etc/passwd. The process reads the file itself, with the rights of the container and on
// its account, and only a regular file that is no interface of the kernel's: /proc/kmsg
// would give the host's log away.
func askHome(b *program.Builder) program.Mem {
	reply := b.Bytes(HomeReply("/"))
	b = b.Doing(program.T("find HOME in /etc/passwd of the container"))
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NOCTTY | unix.O_NONBLOCK, Resolve: unix.RESOLVE_NO_MAGICLINKS}
	fd, r := b.RegOf(-1), b.Reg()
	piece, end, done, closeIt := b.Label(), b.Label(), b.Label(), b.Label()
	call.Openat2(b, call.Cwd(), call.PathTo(b, "/etc/passwd"), how).To(fd).Ignore()
	b.If(fd, program.Lt, 0, done)
	buf := b.Zero(statxSize)
	call.Statx(b, call.In(fd), call.PathTo(b, ""), unix.AT_EMPTY_PATH, unix.STATX_TYPE, buf).To(r).Ignore()
	b.If(r, program.Ne, 0, closeIt)
	b.IfWord(fileMode(buf), unix.S_IFMT, program.Ne, unix.S_IFREG, closeIt)
	fs := b.Zero(statfsSize)
	call.Fstatfs(b, call.In(fd), fs).To(r).Ignore()
	b.If(r, program.Ne, 0, closeIt)
	for _, magic := range kernelfs.Magics() {
		b.IfWord(program.Mem{Off: fs.Off, Len: 4}, -1, program.Eq, int64(magic), closeIt)
	}
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

// statfsSize has room for struct statfs; its type comes first, and 4 bytes of that
// matter, which are the first on every architecture with Go.
const statfsSize = 128
