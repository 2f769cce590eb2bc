package rootfs

import (
	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

// Pivot emits the change of root. The host's tree, of which the child has a copy,
// is then gone, but for a container without pivot_root.
//
// Source: pivot_root(2), "pivot_root(".", ".")".
func (r *Root) Pivot(b *program.Builder) {
	b.Element(program.T("root.path"))
	b.Doing(program.T("change to the root file system"))
	b.Step(program.T("fchdir"))
	b.Sys(unix.SYS_FCHDIR, program.Val(r.Fd))
	if r.c.NoPivot {
		r.hideHost(b)
		b.Step(program.T("chroot"))
		b.Sys(unix.SYS_CHROOT, b.Str("."))
	} else {
		b.Step(program.T("pivot_root (on a ramdisk use --no-pivot)"))
		b.Sys(unix.SYS_PIVOT_ROOT, b.Str("."), b.Str("."))
		b.Step(program.T("unmount the host's tree"))
		b.Sys(unix.SYS_UMOUNT2, b.Str("."), program.Imm(unix.MNT_DETACH))
	}
	b.Step(program.T("chdir to /"))
	b.Sys(unix.SYS_CHDIR, b.Str("/"))
}

// hideHost emits the unmounting of the host's procfs and sysfs, which a process
// that breaks out of a chroot would find.
func (r *Root) hideHost(b *program.Builder) {
	for _, dir := range [...]string{"/proc", "/sys"} {
		b.Step(program.T("unmount the host's %s", dir))
		b.Sys(unix.SYS_UMOUNT2, b.Str(dir), program.Imm(unix.MNT_DETACH)).Ignore()
	}
}

// Finish emits what must come after everything else is in place: masks,
// read-only paths, the root's own options.
func (r *Root) Finish(b *program.Builder) {
	if r.Fd == 0 {
		return
	}
	r.masks(b)
	r.readonlyPaths(b)
	for _, l := range r.deferred {
		b.Element(program.N("mounts[%d]", l.mount))
		b.Doing(program.T("make it read-only"))
		setattr(b, l.tree, false, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	}
	if r.c.Spec.Root != nil && r.c.Spec.Root.Readonly {
		b.Element(program.T("root.readonly"))
		b.Doing(program.T("make the root read-only"))
		setattr(b, r.Fd, false, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	}
	r.propagate(b)
	r.prove(b)
}

// propagate emits linux.rootfsPropagation. The tree was made with it, but for
// shared, which neither pivot_root takes nor may mounts be made in.
func (r *Root) propagate(b *program.Builder) {
	l := r.c.Spec.Linux
	if l == nil || l.RootfsPropagation == "" {
		return
	}
	b.Element(program.T("linux.rootfsPropagation"))
	b.Doing(program.T("set it to %s", l.RootfsPropagation))
	recursive := r.prop.recursive && r.prop.flag == unix.MS_SHARED
	setattr(b, r.Fd, recursive, &unix.MountAttr{Propagation: r.prop.flag})
	for i := range r.trees {
		if s := &r.trees[i]; recursive && s.o.prop != 0 && s.tree != 0 {
			b.Element(program.N("mounts[%d]", i))
			r.keepPropagation(b, s.tree, s)
		}
	}
}

// prove emits that /proc and /sys of the configuration are where programs look
// for them: the image may have been changed under the hands of the runtime.
//
// Source: CVE-2019-19921, CVE-2023-27561.
func (r *Root) prove(b *program.Builder) {
	for i := range r.c.Spec.Mounts {
		m, s := &r.c.Spec.Mounts[i], &r.trees[i]
		magic := map[string]int64{"proc": unix.PROC_SUPER_MAGIC, "sysfs": unix.SYSFS_MAGIC}[m.Type]
		if magic == 0 || s.o.bind {
			continue
		}
		b.Element(program.N("mounts[%d]", i))
		b.Doing(program.T("check that %s is still the mount", m.Destination))
		fd, buf, ok := open(b, r.Fd, s.dest, unix.O_PATH|unix.O_DIRECTORY, inRoot|unix.RESOLVE_NO_SYMLINKS).Fd(), b.Zero(statfsSize), b.Label()
		b.Sys(unix.SYS_FSTATFS, program.Val(fd), buf.Arg())
		b.IfWord(word(buf, 0, 4), -1, program.Eq, magic, ok)
		b.Step(program.T("the root file system was changed meanwhile"))
		b.Fail(unix.ESTALE)
		b.Bind(ok)
	}
}
