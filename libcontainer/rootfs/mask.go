package rootfs

import (
	"strings"

	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

// openMasks emits the opening of the host's null device, which hides files. It is
// proven to be that: the container's own /dev/null may be anything.
func (r *Root) openMasks(b *program.Builder) {
	l := r.c.Spec.Linux
	if l == nil || len(l.MaskedPaths) == 0 {
		return
	}
	b.Element(program.T("linux.maskedPaths"))
	b.Doing(program.T("open the host's /dev/null"))
	r.null = treeAt(b, "/dev/null", false)
	buf, no, ok := b.Zero(statxSize), b.Label(), b.Label()
	statx(b, r.null, buf)
	isNotDevice(b, buf, unix.S_IFCHR, 1, 3, no)
	b.Jump(ok)
	b.Bind(no)
	b.Step(program.T("is not the null device 1:3"))
	b.Fail(unix.ENODEV)
	b.Bind(ok)
}

// reused is a mount that is attached once and cloned for every further place:
// before Linux 6.15 only attached mounts can be cloned.
type reused struct {
	mnt      program.Reg
	attached program.Reg // 0 when it is
}

func (s reused) attach(b *program.Builder, target program.Reg) {
	again, done := b.Label(), b.Label()
	b.If(s.attached, program.Eq, 0, again)
	attach(b, s.mnt, target).To(s.attached)
	b.Jump(done)
	b.Bind(again)
	attach(b, cloneTree(b, s.mnt, false), target)
	b.Bind(done)
}

// masks emits the hiding of linux.maskedPaths: files by the null device,
// directories by an empty one.
func (r *Root) masks(b *program.Builder) {
	l := r.c.Spec.Linux
	if l == nil || len(l.MaskedPaths) == 0 || r.null == 0 {
		return
	}
	b.Element(program.T("linux.maskedPaths"))
	b.Doing(program.T("make an empty directory"))
	params := []param{{"source", "tmpfs"}, {"size", "4096"}, {"mode", "755"}}
	if l.MountLabel != "" {
		params = append(params, param{"context", l.MountLabel})
	}
	attrs := uint64(unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC)
	empty := reused{newFS(b, "tmpfs", params, attrs), b.RegOf(-1)}
	null := reused{r.null, b.RegOf(-1)}
	for i, p := range l.MaskedPaths {
		b.Element(program.N("linux.maskedPaths[%d]", i))
		b.Doing(program.T("mask %s", p))
		fd, next, dir, buf := r.there(b, p), b.Label(), b.Label(), b.Zero(statxSize)
		b.If(fd, program.Lt, 0, next)
		statx(b, fd, buf)
		isDir(b, buf, dir)
		null.attach(b, fd)
		b.Jump(next)
		b.Bind(dir)
		empty.attach(b, fd)
		b.Bind(next)
	}
}

// below gives the descriptor and the name to open p by: below a procfs or sysfs of
// the configuration that is the mount itself, wherever the image's directory may
// have been renamed to.
func (r *Root) below(p string) (program.Reg, string) {
	for i := range r.c.Spec.Mounts {
		s := &r.trees[i]
		if t := r.c.Spec.Mounts[i].Type; s.o.bind || s.tree == 0 || t != "proc" && t != "sysfs" {
			continue
		}
		if name, ok := strings.CutPrefix(p, s.dest+"/"); ok {
			return s.tree, name
		}
	}
	return r.Fd, p
}

// there emits the opening of a path below the root; the register is negative
// when there is none.
func (r *Root) there(b *program.Builder, p string) program.Reg {
	fd, skip := b.RegOf(-1), b.Label()
	dir, name := r.below(destination(p))
	b.Step(program.T("open"))
	open(b, dir, name, unix.O_PATH, inRoot).To(fd).Ignore()
	b.If(fd, program.Ge, 0, skip)
	b.IfErrno(fd, unix.ENOENT, skip)
	b.IfErrno(fd, unix.ENOTDIR, skip)
	open(b, dir, name, unix.O_PATH, inRoot).To(fd).On(unix.ENOENT, skip) // else fails with its errno
	b.Bind(skip)
	b.Step(program.Text{})
	return fd
}

// readonlyPaths emits the binding of linux.readonlyPaths to themselves,
// read-only with all below.
func (r *Root) readonlyPaths(b *program.Builder) {
	l := r.c.Spec.Linux
	if l == nil {
		return
	}
	for i, p := range l.ReadonlyPaths {
		b.Element(program.N("linux.readonlyPaths[%d]", i))
		b.Doing(program.T("make %s read-only", p))
		fd, next := r.there(b, p), b.Label()
		b.If(fd, program.Lt, 0, next)
		tree := cloneTree(b, fd, true)
		setattr(b, tree, true, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
		attach(b, tree, fd)
		b.Bind(next)
	}
}
