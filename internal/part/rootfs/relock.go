package rootfs

import (
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// Relock emits, in the child, that the root of a container that does not run yet and the binds are
// cloned anew from its copy of the host's tree, in the place of what the parent section has cloned.
// The kernel locks the mounts of a copy that belongs to another user namespace: what the host has
// restricted stays so, and what it has covered stays covered, also for a container that may mount.
// Of a tree that was cloned outside nothing is locked.
//
// It comes when the mappings are written, and before the process takes on the container's
// ids: it passes the directories of the host's root as their owner, and those of mapped ids
// by its capabilities. What it cannot reach, or the kernel lets nobody clone there, stays
// the parent section's clone.
//
// Source: mount_namespaces(7), "Restrictions on mount namespaces".
func (r *Root) Relock(b *program.Builder) {
	if !r.relocks() {
		return
	}
	r.inChild = true
	defer func() { r.inChild = false }()
	if r.onRoot == nil && !r.c.Running {
		r.relockRoot(b.Element(program.T("root.path")))
	}
	for i := range r.mounts {
		src, mnt := &r.mounts[i], &r.c.Spec.Mounts[i]
		opened := src.opens() && !src.atMount
		if !opened || idmapped(mnt, src) || src.o.prop == unix.MS_SHARED { // mapping needs the caller's privileges, a copy is in no peer group
			continue
		}
		b := b.Element(program.N("mounts[%d]", i)).Doing(program.T("clone %s where the kernel has locked it", mnt.Source))
		next := b.Label()
		flags := unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | src.follow()
		if src.o.recursive {
			flags |= unix.AT_RECURSIVE
		}
		own := *src
		own.tree = call.OpenTree(b, call.Cwd(), call.PathTo(b, mnt.Source), flags).On(0, next).Fd()
		r.attributes(b, &own)
		r.replace(b, own.tree, src.tree)
		b.Bind(next)
	}
}

// relocks reports whether Relock emits anything.
func (r *Root) relocks() bool { return r.c.Relock && r.c.SourcesInParent }

// relockRoot is Relock for the root.
func (r *Root) relockRoot(b *program.Builder) {
	b = b.Doing(program.T("clone the root file system %s where the kernel has locked it", r.c.Rootfs))
	next := b.Label()
	h := r.openDir(b, next)
	tree := cloneTree(b, h.dir, true).Fd()
	setattr(b.Step(program.T("set its propagation")), tree, true, &unix.MountAttr{Propagation: r.innerPropagation()})
	r.replace(b, tree, r.Fd)
	call.Close(b, call.In(h.dir))
	b.Bind(next)
	if h.bundle != 0 {
		call.Close(b, call.In(h.bundle)).Ignore()
	}
}

// replace emits that the tree takes the number of another.
func (r *Root) replace(b *program.Builder, tree, old program.Reg) {
	call.Dup3(b.Step(program.T("let it take the place of the other")), call.In(tree), call.Over(old), unix.O_CLOEXEC)
	call.Close(b, call.In(tree))
}
