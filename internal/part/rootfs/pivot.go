package rootfs

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/program/call/idiom"
)

// Pivot emits the change of root, with the working directory there. The host's
// tree, of which the child has a copy, is then gone, but for a container without
// pivot_root, or in the caller's own mount namespace.
//
// Source: pivot_root(2), "pivot_root(".", ".")".
func (r *Root) Pivot(b *program.Builder) {
	b = b.Element(program.T("root.path")).Doing(program.T("change to the root file system"))
	chrooted := r.c.Chrooted && !r.c.SharedMounts
	if chrooted { // the host's whole tree has to go, and not what the caller sees of it alone
		leaveChroot(b)
		attachAt(b.Step(program.T(`move it to "/"`)), r.Fd, "/")
	}
	if r.c.NoPivot && !r.c.SharedMounts {
		if r.c.Seen && !chrooted { // what it lies on is unmounted
			attachAt(b.Step(program.T(`move it to "/"`)), r.Fd, "/")
		}
		r.hideHost(b)
	}
	// By descriptor: no name is resolved on the way to the new root.
	call.Fchdir(b.Step(program.T("fchdir")), call.In(r.Fd))
	if r.c.NoPivot || r.c.SharedMounts {
		call.Chroot(b.Step(program.T("chroot")), call.PathTo(b, "."))
		return
	}
	step := b.Step(program.T("pivot_root (on a ramdisk use --no-pivot)"))
	// The old root is then on top of the new one, so no directory in it is needed for it.
	call.PivotRoot(step, call.PathTo(b, "."), call.PathTo(b, "."))
	call.Umount2(b.Step(program.T("unmount the host's tree")), call.PathTo(b, "."), unix.MNT_DETACH)
}

// Finish emits what must come after everything else is in place: masks,
// read-only paths, the root's own options.
func (r *Root) Finish(b *program.Builder) {
	if r.Fd == 0 {
		return
	}
	r.masks(b)
	r.readonlyPaths(b)
	r.finishReadonly(b)
	if r.onRoot != nil && r.onRoot.rootRO {
		r.readonlyRoot(b.Element(program.N("mounts[%d]", r.onRootAt)))
	}
	if r.c.Spec.Root != nil && r.c.Spec.Root.Readonly {
		r.readonlyRoot(b.Element(program.T("root.readonly")))
	}
	r.propagate(b) // after pivot_root, which refuses shared mounts
	r.prove(b)     // last: of what the container will see
}

// readonlyRoot emits that the root's own mount is read-only.
func (r *Root) readonlyRoot(b *program.Builder) {
	b = b.Doing(program.T("make the root read-only (needs Linux %s: mount_setattr)", SetattrSince))
	setattr(b, r.Fd, false, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
}

// finishReadonly emits that mounts are made read-only that were filled before.
func (r *Root) finishReadonly(b *program.Builder) {
	for _, l := range r.filled {
		b := b.Element(program.N("mounts[%d]", l.mount)).Doing(program.T("make it read-only"))
		setattr(b, l.tree, false, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	}
}

// propagate emits linux.rootfsPropagation. The tree was opened with it, but for
// what pivot_root does not take, or mounts may not be made in: the root then
// becomes a peer group of its own, or cannot be bound.
//
// Source: runtime-spec config-linux.md "Rootfs Mount Propagation".
func (r *Root) propagate(b *program.Builder) {
	if r.prop.flag != unix.MS_SHARED && r.prop.flag != unix.MS_UNBINDABLE {
		return
	}
	b = b.Element(program.T("linux.rootfsPropagation")).Doing(program.T("set it to %s", r.prop.name()))
	setattr(b, r.Fd, r.prop.recursive, &unix.MountAttr{Propagation: r.prop.flag})
	if !r.prop.recursive {
		return
	}
	for i := range r.mounts { // what has asked for its own gets it back
		if s := &r.mounts[i]; s.o.prop != 0 && s.o.prop != r.prop.flag && s.tree != 0 {
			b := b.Element(program.N("mounts[%d]", i)).Doing(program.T("set its propagation"))
			setattr(b, s.tree, s.o.propRecursive, &unix.MountAttr{Propagation: s.o.prop})
		}
	}
}

// prove emits that /proc and /sys of the configuration are where programs look
// for them: the image may have been changed under the hands of the runtime.
//
// Source: CVE-2019-19921, CVE-2023-27561.
func (r *Root) prove(b *program.Builder) {
	for i := range r.mounts {
		s, magic := &r.mounts[i], int64(unix.PROC_SUPER_MAGIC)
		mask := r.maskOn(s.dest)
		switch t := r.c.Spec.Mounts[i].Type; {
		case t != "proc" && t != "sysfs", s.o.bind, s.gone, r.covered(i, len(r.mounts)), mask != "" && mask != s.dest:
			continue
		case mask != "":
			magic = unix.TMPFS_MAGIC // of the empty directory
		case t == "sysfs":
			magic = unix.SYSFS_MAGIC
		}
		b := b.Element(program.N("mounts[%d]", i)).Doing(program.T("check that %s is still the mount", s.dest))
		changed := b.Step(program.T("the root file system was changed meanwhile"))
		buf, ok := b.Zero(idiom.StatfsSize), b.Label()
		call.Statfs(b, call.PathTo(b, s.dest), buf) // in the container's root
		b.IfWord(idiom.Part(buf, 0, 4), -1, program.Eq, magic, ok)
		changed.Fail(unix.ESTALE)
		b.Bind(ok)
		if mask != "" {
			proveMask(b, changed, s.dest)
		}
	}
}

// proveMask emits that dest is a mount; the image may be on a tmpfs, as the mask is. Where it is
// none, changed has the label.
func proveMask(b, changed *program.Builder, dest string) {
	fd := call.Openat2(b, call.Cwd(), call.PathTo(b, dest), call.How{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: inRoot}).Fd()
	buf, ok := b.Zero(idiom.StatxSize), b.Label()
	statx(b, fd, buf)
	b.IfWord(idiom.Part(buf, idiom.StatxAttributes, 8), unix.STATX_ATTR_MOUNT_ROOT, program.Ne, 0, ok)
	changed.Fail(unix.ESTALE)
	b.Bind(ok)
	call.Close(b, call.In(fd))
}

// maskOn returns the one of linux.maskedPaths that is dest or lies above it, the
// highest if there are several, and "" if there is none.
func (r *Root) maskOn(dest string) (mask string) {
	if r.c.Spec.Linux == nil {
		return ""
	}
	for _, p := range r.c.Spec.Linux.MaskedPaths {
		p = destination(p)
		if (p == dest || strings.HasPrefix(dest, p+"/")) && (mask == "" || len(p) < len(mask)) {
			mask = p
		}
	}
	return mask
}
