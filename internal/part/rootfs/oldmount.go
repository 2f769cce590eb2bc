package rootfs

import (
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/program/call/idiom"
)

// Where a seccomp filter around the runtime denies fsopen, fsconfig or fsmount, a mount that
// is attached nowhere is made by mount(2): on top of "/" of the child's own mount namespace,
// from which nothing propagates, and in which nobody else is. It is cloned from there, and
// detached again. The name has no component that anybody could have made a link of.
//
// Source: mount(2); open_tree(2); path_resolution(7): ".." of the root is the root, with what
// is mounted on it.

// onSlash is the name of what is mounted on "/", which itself leads to what lies beneath.
const onSlash = "/.."

// mountOld emits what mountAPI does.
func (f *newFS) mountOld(b *program.Builder, tree program.Reg, refused program.Label) {
	attrs, readonly := f.attrs, uint64(0)
	if ownReadonly(f.kind) { // mount would make the superblock read-only, which is others' too
		readonly = attrs & unix.MOUNT_ATTR_RDONLY
		attrs &^= readonly
	}
	step := b.Step(program.T("mount %s for a moment, since fsopen is denied", f.kind))
	c := call.Mount(step, f.old(), call.PathTo(b, "/"), uint64(f.legacy|mountFlags(attrs)))
	if refused != noLabel {
		c.On(unix.EPERM, refused)
	}
	takeFromSlash(b, tree)
	if readonly != 0 {
		setattr(b.Step(program.T("make it read-only")), tree, false, &unix.MountAttr{Attr_set: readonly})
	}
}

// takeFromSlash emits that what is mounted on "/" is detached.
func takeFromSlash(b *program.Builder, tree program.Reg) {
	step := b.Step(program.T("clone it"))
	call.OpenTree(step, call.Cwd(), call.PathTo(b, onSlash), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC).To(tree)
	call.Umount2(b.Step(program.T("unmount it")), call.PathTo(b, onSlash), unix.MNT_DETACH)
}

// oldProc is PrivateProc by mount(2), or where no mount may be made, the host's.
func (r *Root) oldProc(b *program.Builder) program.Reg {
	if !r.c.OldMounts {
		return hostProc(b)
	}
	r.stopPropagation(b)
	b = b.Element(program.T("process")).Doing(program.T("open a private procfs"))
	fd, host, done := b.RegOf(-1), b.Label(), b.Label()
	proc := &newFS{kind: "proc", source: "proc"}
	proc.mountOld(b, fd, host)
	b.Jump(done)
	b.Bind(host)
	openHostProc(b, fd)
	b.Bind(done)
	return fd
}

// hostProc emits the opening of the host's procfs, which is proven to be one.
func hostProc(b *program.Builder) program.Reg {
	fd := b.RegOf(-1)
	openHostProc(b.Element(program.T("process")).Doing(program.T("open the host's procfs, since fsopen is denied")), fd)
	return fd
}

func openHostProc(b *program.Builder, fd program.Reg) {
	call.Openat(b, call.Cwd(), call.PathTo(b, "/proc"), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC).To(fd)
	idiom.MustBeOn(b, fd, unix.PROC_SUPER_MAGIC, unix.EPERM)
}
