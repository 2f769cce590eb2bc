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
	if l := r.c.Spec.Linux; l != nil && l.RootfsPropagation != "" {
		b.Element(program.T("linux.rootfsPropagation"))
		b.Doing(program.T("set it to %s", l.RootfsPropagation))
		setattr(b, r.Fd, r.prop.recursive, &unix.MountAttr{Propagation: r.prop.flag})
	}
}
