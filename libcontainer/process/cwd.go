package process

import (
	"strings"

	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

// Cwd is the change to process.cwd, in two parts: some directories can be
// entered by root only, some by the user only.
type Cwd struct {
	path    string
	entered program.Reg // its descriptor, once it could be opened
}

// EnterCwd emits the first part, as root.
func EnterCwd(b *program.Builder, path string) *Cwd {
	c := &Cwd{path: path, entered: b.Reg()}
	b.Element(program.T("process.cwd"))
	b.Doing(program.T("change to %s", path))
	c.enter(b).Ignore()
	return c
}

// MakeCwd emits the making of the directory, when it is missing, below the
// container's root, which may become read-only after it.
func MakeCwd(b *program.Builder, path string) {
	b.Element(program.T("process.cwd"))
	b.Doing(program.T("make %s", path))
	r, there := b.Reg(), b.Label()
	b.Sys(unix.SYS_FACCESSAT, program.Imm(unix.AT_FDCWD), b.Str(path), program.Imm(unix.F_OK)).To(r).Ignore()
	b.If(r, program.Ne, -int64(unix.ENOENT), there)
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			continue
		}
		if dir := path[:i]; !strings.HasSuffix(dir, "/") {
			b.Sys(unix.SYS_MKDIRAT, program.Imm(unix.AT_FDCWD), b.Str(dir), program.Imm(0o755)).Ignore()
		}
	}
	b.Bind(there)
}

// enter emits the opening of the directory, through no magic link: those of
// /proc/self/fd lead wherever a descriptor does.
func (c *Cwd) enter(b *program.Builder) program.Call {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_MAGICLINKS}
	return b.Sys(unix.SYS_OPENAT2, program.Imm(unix.AT_FDCWD), b.Str(c.path), program.Struct(b, &how).Arg(), program.Imm(unix.SizeofOpenHow)).To(c.entered)
}

// Prove emits the second part, as the user: it enters the directory if root
// could not, and proves that it is inside the container: a directory outside,
// reached by a leaked descriptor, has no path there.
//
// Source: getcwd(3), "(unreachable)"; CVE-2024-21626.
func (c *Cwd) Prove(b *program.Builder) {
	b.Element(program.T("process.cwd"))
	b.Doing(program.T("change to %s", c.path))
	in, ok := b.Label(), b.Label()
	b.If(c.entered, program.Ge, 0, in)
	c.enter(b)
	b.Bind(in)
	b.Sys(unix.SYS_FCHDIR, program.Val(c.entered))
	buf := b.Zero(unix.PathMax)
	b.Doing(program.T("%s is outside of the container: refused", c.path))
	b.Sys(unix.SYS_GETCWD, buf.Arg(), program.Imm(buf.Len))
	b.IfWord(program.Mem{Off: buf.Off, Len: 1}, -1, program.Eq, '/', ok)
	b.Fail(0)
	b.Bind(ok)
}
