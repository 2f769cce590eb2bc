package process

import (
	"path/filepath"
	"slices"
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
	openDir(b, call.Cwd(), path, 0).To(fd).Ignore()
	b.If(fd, program.Lt, 0, later)
	call.Fchdir(b, call.In(fd)).To(c.entered).Ignore()
	call.Close(b, call.In(fd)) // CloseOthers has been
	b.Bind(later)
	return c
}

// openDir emits the opening of a directory, with RESOLVE_ flags, through no magic link: those of
// /proc/self/fd lead wherever one of the runtime's descriptors does.
//
// Source: openat2(2), RESOLVE_NO_MAGICLINKS; CVE-2024-21626.
func openDir(b *program.Builder, dir call.Fd, path string, resolve uint64) program.Call {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: resolve | unix.RESOLVE_NO_MAGICLINKS}
	return call.Openat2(b, dir, call.PathTo(b, path), how)
}

// MakeCwd emits the making of the directory, when it is missing, below the
// container's root, which may become read-only after it. It is made by descriptors:
// mkdir by its path would follow /proc/self/fd/7 to a directory of the host. So would a
// plain look whether it is there.
//
// mounts are where the configuration mounts something. Behind a symbolic link nothing is
// made in what is mounted: it may be a directory of the host, which the process that makes
// it may write, and the container's user not.
func MakeCwd(b *program.Builder, path string, mounts []string) {
	b = b.Element(program.T("process.cwd")).Doing(program.T("make %s", path))
	r, end := b.Reg(), b.Label()
	openDir(b, call.Cwd(), path, 0).To(r).Ignore()
	b.If(r, program.Ne, -int64(unix.ENOENT), end)
	top, names := topOf(path, mounts)
	base := openDir(b.Step(program.T("open %s", top)), call.Cwd(), top, 0).Fd()
	dir := base
	for i, name := range names {
		there := b.Label()
		step := b.Step(program.T("make %s in it", name))
		call.Mkdirat(step, call.In(dir), call.PathTo(b, name), 0o755).On(unix.EEXIST, there)
		b.Bind(there)
		sub := openBelow(b, base, top, names[:i+1])
		if i > 0 {
			call.Close(b, call.In(dir))
		}
		dir = sub
	}
	if dir != base {
		call.Close(b, call.In(dir))
	}
	call.Close(b, call.In(base))
	b.Bind(end)
}

// topOf returns the last of mounts that path lies in by its own name, else the root, and the
// names that lead from there to path.
func topOf(path string, mounts []string) (top string, names []string) {
	split := func(p string) []string { return strings.FieldsFunc(p, func(r rune) bool { return r == '/' }) }
	top, names = "/", split(path)
	below := 0
	for _, m := range mounts {
		at := split(filepath.Clean("/" + m))
		if len(at) > below && len(at) <= len(names) && slices.Equal(at, names[:len(at)]) {
			top, below = "/"+strings.Join(at, "/"), len(at)
		}
	}
	return top, names[below:]
}

// openBelow emits the opening of the directory that names lead to from base, which is top:
// over no link, or else on base's own mount.
func openBelow(b *program.Builder, base program.Reg, top string, names []string) program.Reg {
	near := uint64(unix.RESOLVE_NO_XDEV)
	if top == "/" {
		near |= unix.RESOLVE_IN_ROOT // else every absolute link counts as one into another mount
	}
	last, path := names[len(names)-1], strings.Join(names, "/")
	dir, linked, opened := b.RegOf(-1), b.Label(), b.Label()
	step := b.Step(program.T("open %s in it", last))
	openDir(step, call.In(base), path, unix.RESOLVE_NO_SYMLINKS).To(dir).On(unix.ELOOP, linked)
	b.Jump(opened)
	b.Bind(linked)
	other := b.Label()
	openDir(step, call.In(base), path, near).To(dir).On(unix.EXDEV, other)
	b.Jump(opened)
	b.Bind(other)
	b.Step(program.T("a symbolic link of the image leads %s into what is mounted there; make it there, or name the place itself", last)).Fail(unix.EXDEV)
	b.Bind(opened)
	return dir
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
	openDir(b, call.Cwd(), c.path, 0).To(fd).On(unix.ELOOP, outside)
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
