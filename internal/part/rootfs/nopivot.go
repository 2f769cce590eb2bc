package rootfs

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/mountinfo"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/program/call/idiom"
)

// Without pivot_root the host's tree stays beneath the container's root, in the
// same mount namespace. The kernel lets a process mount a new procfs or sysfs in a
// user namespace that it makes when it finds one in its mount namespace, a copy of
// the container's, that is fully visible: one from its root on, with nothing but
// empty directories covered. Whether a path leads to it does not matter. The
// host's is such a one, and so the container would have a procfs without masks.
//
// Source: linux/fs/namespace.c, mount_too_revealing.

// revealing reports whether the mount lets others of its type be made, and gives the
// type's magic number.
func revealing(m *mountinfo.Mount) (magic int64, ok bool) {
	switch {
	case m.Root != "/":
		return 0, false
	case m.Type == "proc":
		return unix.PROC_SUPER_MAGIC, true
	case m.Type == "sysfs":
		return unix.SYSFS_MAGIC, true
	}
	return 0, false
}

// cutOff emits that later mounts of the host do not come to what of its tree stays
// beneath. What is bound in the container has been cloned before and still gets
// them where the options say so.
func (r *Root) cutOff(b *program.Builder) {
	if !r.c.NoPivot || r.c.SharedMounts {
		return
	}
	b = b.Element(program.T("root.path")).Doing(program.T("keep later mounts of the host away from beneath the root"))
	r.propagateAll(b, unix.MS_PRIVATE)
}

// hideHost emits the unmounting of all that is mounted on the host's root file
// system: its procfs and sysfs, wherever they are, also beneath other mounts, and
// what a process that breaks out of the chroot would find. In a user namespace the
// kernel has locked the mounts: there each procfs and sysfs is covered, which is
// enough, because the cover is locked in turn in a copy of the namespace.
func (r *Root) hideHost(b *program.Builder) {
	list := r.c.HostMounts
	if len(list) == 0 { // a namespace that is joined, of which nothing is known
		list = []mountinfo.Mount{{ID: 1, Root: "/", Point: "/proc", Type: "proc"}, {ID: 2, Root: "/", Point: "/sys", Type: "sysfs"}}
	}
	for i := len(list) - 1; i >= 0; i-- { // of two on top of each other the upper one is later
		if m := &list[i]; m.Point != "/" && onTop(list, m) {
			r.hide(b, list, m)
		}
	}
}

// onTop reports whether m is mounted on the root file system itself.
func onTop(list []mountinfo.Mount, m *mountinfo.Mount) bool {
	i := slices.IndexFunc(list, func(p mountinfo.Mount) bool { return p.ID == m.Parent })
	return i < 0 || list[i].Point == "/"
}

// hide emits the unmounting of the host's mount m with all that is mounted in it,
// or the covering of what reveals.
func (r *Root) hide(b *program.Builder, list []mountinfo.Mount, m *mountinfo.Mount) {
	locked, gone := b.Label(), b.Label()
	step := b.Step(program.T("unmount the host's %s", m.Point))
	call.Umount2(step, call.PathTo(b, m.Point), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW).On(0, locked)
	b.Jump(gone)
	b.Bind(locked)
	var done []string
	for i := range list {
		p := &list[i]
		magic, ok := revealing(p)
		if !ok || !within(list, p, m) || slices.Contains(done, p.Point) { // the lower of two is covered by the upper
			continue
		}
		done = append(done, p.Point)
		cover(b, p.Point, magic)
	}
	b.Bind(gone)
}

// within reports whether p is m or is mounted in it.
func within(list []mountinfo.Mount, p, m *mountinfo.Mount) bool {
	for range list { // as deep as it can be
		if p.ID == m.ID {
			return true
		}
		i := slices.IndexFunc(list, func(q mountinfo.Mount) bool { return q.ID == p.Parent })
		if i < 0 {
			return false
		}
		p = &list[i]
	}
	return false
}

// cover emits a read-only tmpfs on top of the procfs or sysfs at point. One that
// the path does not lead to, because something is mounted over it, cannot be
// covered.
func cover(b *program.Builder, point string, magic int64) {
	step := b.Step(program.T("look at the host's %s", point))
	buf, there, hidden := b.Zero(idiom.StatfsSize), b.Label(), b.Label()
	call.Statfs(step, call.PathTo(b, point), buf).On(0, hidden)
	step.IfWord(idiom.Part(buf, 0, 4), -1, program.Eq, magic, there)
	b.Bind(hidden)
	step = b.Step(program.T("the host's %s cannot be reached, to be unmounted or covered, where something is mounted above it: do without --no-pivot", point))
	step.Fail(unix.EBUSY)
	b.Bind(there)
	step = b.Step(program.T("cover the host's %s", point))
	call.Mount(step, call.FileSystem{Source: "tmpfs", Type: "tmpfs"}, call.PathTo(b, point), unix.MS_RDONLY)
}
