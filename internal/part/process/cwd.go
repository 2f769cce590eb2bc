package process

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// Cwd is the change to process.cwd, in two parts: some directories can be
// entered by root only, some by the user only.
type Cwd struct {
	path    string
	entered program.Reg // 0 once it is the working directory
}

// EnterCwd emits the first part, as root. A failure is left to the second.
func EnterCwd(b *program.Builder, path string) *Cwd {
	c := &Cwd{path: path, entered: b.RegOf(-1)}
	b = b.Element(program.T("process.cwd")).Doing(program.T("change to %s", path))
	later, fd := b.Label(), b.Reg()
	openDir(b, call.Cwd(), path).To(fd).Ignore()
	b.If(fd, program.Lt, 0, later)
	call.Fchdir(b, call.In(fd)).To(c.entered).Ignore()
	call.Close(b, call.In(fd)) // CloseOthers has been
	b.Bind(later)
	return c
}

// openDir emits the opening of a directory, through no magic link: those of
// /proc/self/fd lead wherever one of the runtime's descriptors does.
//
// Source: openat2(2), RESOLVE_NO_MAGICLINKS; CVE-2024-21626.
func openDir(b *program.Builder, dir call.Fd, path string) program.Call {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_MAGICLINKS}
	return call.Openat2(b, dir, call.PathTo(b, path), how)
}

// MakeCwd emits the making of the directory, when it is missing, below the
// container's root, which may become read-only after it. It is made by a walk
// over descriptors: mkdir by its path would follow /proc/self/fd/7 to a
// directory of the host. So would a plain look whether it is there.
func MakeCwd(b *program.Builder, path string) {
	b = b.Element(program.T("process.cwd")).Doing(program.T("make %s", path))
	r, end := b.Reg(), b.Label()
	openDir(b, call.Cwd(), path).To(r).Ignore()
	b.If(r, program.Ne, -int64(unix.ENOENT), end)
	dir := openDir(b.Step(program.T("open /")), call.Cwd(), "/").Fd()
	for name := range strings.SplitSeq(path, "/") {
		if name == "" {
			continue
		}
		there := b.Label()
		step := b.Step(program.T("make %s in it", name))
		call.Mkdirat(step, call.In(dir), call.PathTo(b, name), 0o755).On(unix.EEXIST, there)
		b.Bind(there)
		step = b.Step(program.T("open %s in it", name))
		sub := openDir(step, call.In(dir), name).Fd()
		call.Close(b, call.In(dir))
		dir = sub
	}
	call.Close(b, call.In(dir))
	b.Bind(end)
}

// Prove emits the second part, as the user: it enters the directory if root
// could not, and proves that it is inside the container: a directory outside,
// reached by a leaked descriptor, has no path there.
//
// Source: getcwd(3), "(unreachable)"; CVE-2024-21626.
func (c *Cwd) Prove(b *program.Builder) {
	b = b.Element(program.T("process.cwd")).Doing(program.T("change to %s", c.path))
	in, outside, ok := b.Label(), b.Label(), b.Label()
	b.If(c.entered, program.Eq, 0, in)
	fd := b.Reg()
	openDir(b, call.Cwd(), c.path).To(fd).On(unix.ELOOP, outside)
	call.Fchdir(b, call.In(fd))
	call.Close(b, call.In(fd))
	b.Bind(in)
	buf := b.Zero(unix.PathMax)
	b = b.Doing(program.T("%s is outside of the container: refused", c.path))
	call.Getcwd(b, buf)
	b.IfWord(program.Mem{Off: buf.Off, Len: 1}, -1, program.Eq, '/', ok)
	b.Fail(0)
	b.Bind(outside)
	b.Step(program.T("it leads over a link of procfs to a descriptor, or over too many links")).Fail(0)
	b.Bind(ok)
}
