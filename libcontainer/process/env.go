package process

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

// HomeTag is the tag by which init hands the parent its passwd file (value: the
// descriptor of a regular file) and waits for HomeReply.
const HomeTag = 0x100

// homeLen is the length of the answer.
const homeLen = unix.PathMax + 8

// HomeReply is the answer to HomeTag: the variable HOME. A dir that is no path
// for its length or a NUL gives the root directory.
func HomeReply(dir string) []byte {
	if len(dir) >= unix.PathMax || strings.IndexByte(dir, 0) >= 0 {
		dir = "/"
	}
	b := make([]byte, homeLen)
	copy(b, "HOME="+dir)
	return b
}

// Env emits what fills in HOME when the configuration leaves it empty, and gives
// the environment for execve: p's with extra after it. It comes while the working
// directory and the ids are still root's.
func Env(b *program.Builder, p *specs.Process, extra []string) program.Mem {
	const word = strconv.IntSize / 8
	list := make([]program.Mem, 0, len(p.Env)+len(extra)+1)
	b.Element(program.T("process.env"))
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
// /etc/passwd. Only a regular file is handed on: reading a terminal, which an image's /etc/passwd may lead to,
// would hold the parent up.
func askHome(b *program.Builder) program.Mem {
	slot := b.Bytes(HomeReply("/"))
	b.Doing(program.T("find HOME in /etc/passwd of the container"))
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NOCTTY | unix.O_NONBLOCK, Resolve: unix.RESOLVE_NO_MAGICLINKS}
	fd, r := b.RegOf(-1), b.Reg()
	hand, done, close := b.Label(), b.Label(), b.Label()
	b.Sys(unix.SYS_OPENAT2, program.Imm(unix.AT_FDCWD), b.Str("/etc/passwd"), program.Struct(b, &how).Arg(), program.Imm(unix.SizeofOpenHow)).To(fd).Ignore()
	b.If(fd, program.Lt, 0, done)
	buf := b.Zero(statxSize)
	b.Sys(unix.SYS_STATX, program.Val(fd), b.Str(""), program.Imm(unix.AT_EMPTY_PATH), program.Imm(unix.STATX_TYPE), buf.Arg()).To(r).Ignore()
	b.If(r, program.Ne, 0, close)
	b.IfWord(fileMode(buf), unix.S_IFMT, program.Eq, unix.S_IFREG, hand)
	b.Bind(close)
	b.Sys(unix.SYS_CLOSE, program.Val(fd))
	b.Jump(done)
	b.Bind(hand)
	b.Tell(HomeTag, fd)
	b.Wait(HomeTag, slot)
	b.Bind(done)
	return slot
}
