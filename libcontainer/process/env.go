package process

import (
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

// HomeTag is the tag by which init hands the parent its passwd file (value: the
// descriptor, negative for none) and waits for HomeReply.
const HomeTag = 0x100

// homeLen is the length of the answer.
const homeLen = unix.PathMax + 8

// HomeReply is the answer to HomeTag: the variable HOME.
func HomeReply(dir string) []byte {
	b := make([]byte, homeLen)
	copy(b[:homeLen-1], "HOME="+dir)
	return b
}

// Env emits what fills in HOME when the configuration leaves it empty, and gives
// the environment for execve.
func Env(b *program.Builder, p *specs.Process, extra []string) program.Mem {
	env := make([]string, 0, len(p.Env)+len(extra))
	home := false
	for _, v := range p.Env {
		if name, value, _ := strings.Cut(v, "="); name == "HOME" {
			if value == "" {
				continue
			}
			home = true
		}
		env = append(env, v)
	}
	env = append(env, extra...)
	const word = strconv.IntSize / 8
	list := make([]program.Mem, 0, len(env)+1)
	for _, v := range env {
		b.Str(v) // checks it
		list = append(list, b.Bytes(append([]byte(v), 0)))
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

func askHome(b *program.Builder) program.Mem {
	slot := b.Zero(homeLen)
	b.Element(program.T("process.env"))
	b.Doing(program.T("find HOME in /etc/passwd of the container"))
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NOCTTY | unix.O_NONBLOCK, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	fd, ask := b.RegOf(-1), b.Label()
	b.Sys(unix.SYS_OPENAT2, program.Imm(unix.AT_FDCWD), b.Str("/etc/passwd"), program.Struct(b, &how).Arg(), program.Imm(unix.SizeofOpenHow)).To(fd).Ignore()
	b.Bind(ask)
	b.Tell(HomeTag, fd)
	b.Wait(HomeTag, slot)
	return slot
}
