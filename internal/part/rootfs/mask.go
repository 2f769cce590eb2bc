package rootfs

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/program/call/idiom"
)

// openMasks emits the opening of the host's null device, which hides files. It is
// proven to be that: the container's own /dev/null may be anything. Where there is
// a store, or the host has none, as an initramfs, it is a node of its own there.
//
// Source: CVE-2025-31133.
func (r *Root) openMasks(b *program.Builder) {
	l := r.c.Spec.Linux
	if l == nil || len(l.MaskedPaths) == 0 {
		return
	}
	b = b.Element(program.T("linux.maskedPaths"))
	if r.store != 0 || r.c.NoNull && r.c.ParentNodes {
		r.nullNode = &node{path: "/dev/null", kind: unix.S_IFCHR, major: 1, minor: 3, mode: 0o666, foreign: true}
		r.supply(b, r.nullNode, "null")
		return
	}
	b = b.Doing(program.T("open the host's /dev/null"))
	r.null = hostNode(b, "/dev/null")
	proveNull(b, r.null)
}

// proveNull emits the check that a mount is of the null device.
func proveNull(b *program.Builder, null program.Reg) {
	buf, no, ok := b.Zero(idiom.StatxSize), b.Label(), b.Label()
	statx(b, null, buf)
	isNotDevice(b, buf, unix.S_IFCHR, 1, 3, no)
	b.Jump(ok)
	b.Bind(no)
	b.Step(program.T("is not the null device 1:3")).Fail(unix.ENODEV)
	b.Bind(ok)
}

// masks emits the hiding of linux.maskedPaths: files by the null device,
// directories by an empty one. Most paths are missing on most hosts and cost one
// call; a file takes three. The empty directory is made for the first that needs
// it: one for all, since each would be a file system of its own.
//
// Only attached mounts can be cloned before Linux 6.15: the null device of the
// parent section is attached first, and from then on cloned.
func (r *Root) masks(b *program.Builder) {
	l := r.c.Spec.Linux
	if l == nil {
		return
	}
	empty := b.RegOf(-1)
	r.forEach(b, "linux.maskedPaths", l.MaskedPaths, "mask %s", func(b *program.Builder, fd program.Reg, last bool) {
		dir, done := b.Label(), b.Label()
		step := b.Step(program.T("cover it by the null device"))
		attach(step, r.null, fd).On(unix.EINVAL, dir) // one is a directory, the other is not
		if !last {                                    // after attach: a detached mount cannot be cloned
			r.cloneNext(b.Step(program.T("clone the null device")), r.null)
		}
		b.Jump(done)
		b.Bind(dir)
		r.maskDir(b, fd, empty)
		b.Bind(done)
	})
}

// cloneNext emits a clone of the mount that has just been attached, which takes
// its place as what is attached next.
func (r *Root) cloneNext(b *program.Builder, mnt program.Reg) {
	if !r.many {
		cloneTree(b, mnt, false).To(mnt)
		return
	}
	used := b.Reg()
	cloneTree(b, mnt, false).To(used)
	step := b.Step(program.T("let the clone take its place"))
	call.Dup3(step, call.In(used), call.Over(mnt), unix.O_CLOEXEC)
	call.Close(b, call.In(used))
}

// maskDir emits the covering of a directory by the empty one.
func (r *Root) maskDir(b *program.Builder, fd, empty program.Reg) {
	again, done := b.Label(), b.Label()
	b.If(empty, program.Ge, 0, again)
	f := &newFS{kind: "tmpfs", source: "tmpfs", data: []string{"mode=755"}, label: r.c.Spec.Linux.MountLabel, context: contextType(r.c.Spec),
		attrs: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC}
	r.makeFS(b, f, empty, noLabel)
	attach(b.Step(program.T("cover it by an empty directory")), empty, fd)
	b.Jump(done)
	b.Bind(again)
	tree := cloneTree(b.Step(program.T("clone the empty directory")), empty, false).Fd()
	step := b.Step(program.T("cover it by an empty directory"))
	attach(step, tree, fd)
	r.closeUsed(b, tree)
	b.Bind(done)
}

// below returns the descriptor and the name to open p by: below a procfs or sysfs of
// the configuration that is the mount itself, wherever the image's directory may
// have been renamed to; the mount's own place is "." there. One that a later mount
// covers is passed over: what were mounted in it would lie beneath what programs see.
//
// Source: CVE-2019-19921.
func (r *Root) below(p string) (program.Reg, string) {
	for i := len(r.mounts) - 1; i >= 0; i-- {
		s := &r.mounts[i]
		name, ok := strings.CutPrefix(p, s.dest+"/")
		if p == s.dest {
			name, ok = ".", true
		}
		t := r.c.Spec.Mounts[i].Type
		plainFS := !s.o.bind && (t == "proc" || t == "sysfs")
		if ok && s.tree != 0 && plainFS && !r.covered(i, len(r.mounts)) {
			return s.tree, name
		}
	}
	return r.Fd, p
}

// covered reports whether one of the mounts after i and before end lies on the mount i,
// or above it.
func (r *Root) covered(i, end int) bool {
	dest := r.mounts[i].dest
	return slices.ContainsFunc(r.mounts[i+1:end], func(s source) bool {
		return !s.o.remount && s.link == "" && (s.dest == dest || strings.HasPrefix(dest, s.dest+"/"))
	})
}

// openExisting emits the opening of a path below the root; when it is missing the program
// goes on at next.
func (r *Root) openExisting(b *program.Builder, dir program.Reg, name call.Path, next program.Label) program.Reg {
	fd, opened := b.RegOf(-1), b.Label()
	step := b.Step(program.T("open it"))
	openAt(step, call.In(dir), name, unix.O_PATH, inRoot).To(fd).Ignore()
	step.If(fd, program.Ge, 0, opened)
	step.IfErrno(fd, unix.ENOENT, next)
	step.IfErrno(fd, unix.ENOTDIR, next)
	openAt(step, call.In(dir), name, unix.O_PATH, inRoot).To(fd).On(unix.ENOENT, next) // else fails as it did
	b.Bind(opened)
	return fd
}

// isRoot reports whether a path of the configuration is the root of the container.
func isRoot(p string) bool { return destination(p) == "/" }

// readonlyPaths emits the binding of linux.readonlyPaths to themselves,
// read-only with all below. The root is not bound, but made read-only itself.
func (r *Root) readonlyPaths(b *program.Builder) {
	linux := r.c.Spec.Linux
	if linux == nil {
		return
	}
	attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	const flags = unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH | unix.AT_RECURSIVE
	if i := slices.IndexFunc(linux.ReadonlyPaths, isRoot); i >= 0 {
		// A clone on top would not be seen: "/" leads to the root's own mount.
		b := b.Element(program.N("linux.readonlyPaths[%d]", i)).Doing(program.T("make all mounts read-only"))
		setattr(b, r.Fd, true, attr)
	}
	r.forEach(b, "linux.readonlyPaths", linux.ReadonlyPaths, "make %s read-only", func(b *program.Builder, fd program.Reg, _ bool) {
		two, ready, tree := b.Label(), b.Label(), b.RegOf(-1)
		step := b.Step(program.T("clone it read-only"))
		call.OpenTreeAttr(step, call.In(fd), call.PathTo(b, ""), flags, attr).To(tree).On(unix.ENOSYS, two)
		b.Jump(ready)
		// Remove once 6.15 (open_tree_attr) is the floor.
		b.Bind(two)
		cloneTree(step, fd, true).To(tree)
		setattr(step, tree, true, attr)
		b.Bind(ready)
		step = b.Step(program.T("attach it"))
		attach(step, tree, fd)
		r.closeUsed(b, tree)
	})
}
