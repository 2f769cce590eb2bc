package rootfs

import (
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/uidmap"
)

// In a user namespace mknod is denied, and a node of the host that is bound there
// stays the host's inode: whoever holds CAP_SYS_ADMIN in the namespace makes a
// read-only mount of it writable again, since flags that were set before the mount
// came to the namespace are not locked. So the parent section, which may, makes
// the nodes in a tmpfs of its own, with the owner and mode that the configuration
// gives them; the child binds them one by one.
//
// Where the parent may not make nodes, being in a user namespace itself, and where
// the caller has no privileges at all, the host's are bound, read-only.

// openDevices emits the making of the nodes in the store, or the opening of the
// host's, where the container's root cannot make them.
func (r *Root) openDevices(b *program.Builder) {
	if !r.c.BindDevices {
		return
	}
	for i := range r.made {
		n := &r.made[i]
		if n.kind == unix.S_IFIFO {
			continue
		}
		b := b.Element(n.element)
		r.supply(b, n, strconv.Itoa(i))
	}
}

// supply emits the making of n in the store under the name, or where that is not
// allowed the opening of the host's node.
func (r *Root) supply(b *program.Builder, n *node, name string) {
	if !r.c.ParentNodes {
		b := b.Doing(program.T("open the host's %s, since mknod is not allowed", n.path))
		n.host = hostNode(b, n.path)
		return
	}
	if r.store == 0 {
		r.makeStore(b)
	}
	n.stored = name
	denied, made := b.Label(), b.Label()
	why := "mknod is not allowed in a user namespace"
	if !r.c.BindDevices {
		why = "the host has none"
	}
	b = b.Doing(program.T("make the node for %s, since %s", n.path, why))
	step := b.Step(program.T("mknod"))
	call.Mknodat(step, call.In(r.store), call.PathTo(b, name), n.kind|n.mode, unix.Mkdev(n.major, n.minor)).On(unix.EPERM, denied)
	// The umask here is the caller's.
	call.Fchmodat(b.Step(program.T("chmod")), call.In(r.store), call.PathTo(b, name), call.N(n.mode))
	if uid, gid := r.hostIDs(n); uid != 0 || gid != 0 {
		step := b.Step(program.T("chown"))
		call.Fchownat(step, call.In(r.store), call.PathTo(b, name), call.Owner{UID: call.N(uid), GID: call.N(gid)}, unix.AT_SYMLINK_NOFOLLOW)
	}
	b.Jump(made)
	b.Bind(denied)
	b = b.Doing(program.T("open the host's %s, since mknod is not allowed", n.path))
	n.host = hostNode(b, n.path)
	if n.foreign {
		proveNull(b, n.host) // it covers files: another device would not hide them
	}
	b.Bind(made)
}

// makeStore emits the tmpfs for the nodes. It belongs to the user namespace of the
// caller: nodes of one that belongs to the container's would not open.
func (r *Root) makeStore(b *program.Builder) {
	b = b.Doing(program.T("make a file system for device nodes"))
	ctx := call.Fsopen(b.Step(program.T("fsopen tmpfs")), "tmpfs", unix.FSOPEN_CLOEXEC).Fd()
	call.FsconfigCreate(b.Step(program.T("create the file system tmpfs")), call.In(ctx))
	step := b.Step(program.T("fsmount tmpfs"))
	r.store = call.Fsmount(step, call.In(ctx), unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC).Fd()
}

// hostIDs returns the ids of the caller's user namespace for the owner of n. One that
// has no mapping stays the caller's root, which is nobody in the container.
func (r *Root) hostIDs(n *node) (uid, gid uint32) {
	l := r.c.Spec.Linux
	if l == nil || n.foreign {
		return 0, 0
	}
	return uidmap.OutsideOr(l.UIDMappings, n.uid, 0), uidmap.OutsideOr(l.GIDMappings, n.gid, 0)
}

// attachStore emits the attaching of the store on top of the root, since only from an
// attached mount can its nodes be cloned before Linux 6.15. A path that goes up from the
// root leads into what lies on top of it, as a symbolic link of the image may: so the store
// is there only while devices are made, when all mount points have been found.
//
// Source: linux/fs/namei.c, follow_dotdot and step_into.
func (r *Root) attachStore(b *program.Builder) {
	if r.store == 0 {
		return
	}
	b = b.Element(program.T("linux.devices")).Doing(program.T("attach the file system for device nodes, to be cloned from"))
	attachAt(b, r.store, "/")
}

// takeNode emits a detached mount of the node, and gives its register.
func (r *Root) takeNode(b *program.Builder, n *node) program.Reg {
	if n.stored == "" {
		return n.host
	}
	there := b.Label()
	if n.host == 0 {
		n.host = b.RegOf(-1)
	} else {
		b.If(n.host, program.Ge, 0, there)
	}
	step := b.Step(program.T("clone the node"))
	call.OpenTree(step, call.In(r.store), call.PathTo(b, n.stored), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC).To(n.host)
	b.Bind(there)
	return n.host
}

// takeNull emits the null device that masks files, as a detached mount: of a node
// of the store, or the host's, which openMasks has opened.
func (r *Root) takeNull(b *program.Builder) {
	if r.nullNode == nil {
		return
	}
	b = b.Element(program.T("linux.maskedPaths")).Doing(program.T("take a null device"))
	r.null = r.takeNode(b, r.nullNode)
	setattr(b.Step(program.T("make it read-only")), r.null, false, &unix.MountAttr{Attr_set: forNode})
}

// detachStore emits the end of the store once nothing more is taken from it.
// Beneath or on the root it would stay, and be what Pivot takes for the host's
// tree; from its descriptor a way up leads to that tree.
func (r *Root) detachStore(b *program.Builder) {
	if r.store == 0 {
		return
	}
	r.takeNull(b)
	b = b.Element(program.T("linux.devices")).Doing(program.T("detach the file system for device nodes"))
	call.Fchdir(b.Step(program.T("fchdir to it")), call.In(r.store))
	call.Umount2(b.Step(program.T("unmount it")), call.PathTo(b, "."), unix.MNT_DETACH)
	call.Fchdir(b.Step(program.T("fchdir to the root")), call.In(r.Fd))
	call.Close(b.Step(program.T("close it")), call.In(r.store))
}
