package rootfs

import (
	"path"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/program/call/idiom"
)

// Mount emits, in the child, the attaching of the root and all mounts, then the
// devices.
func (r *Root) Mount(b *program.Builder) {
	if !r.c.SharedMounts && !r.c.OldMounts { // else PrivateProc has
		r.stopPropagation(b)
	}
	if !r.c.SourcesInParent {
		r.open(b) // before cutOff: the host's tree is still there
	}
	r.cutOff(b)
	r.makeRoot(b)   // before it is attached
	r.attachRoot(b) // before the mounts: they are attached in it
	umask, masks := b.Reg(), b.Element(program.T("process.user.umask"))
	call.Umask(masks.Doing(program.T("set the umask for what is made")), call.N(0)).To(umask)
	for i := range r.mounts {
		r.mount(b, i)
		r.done = i + 1
	}
	if r.notify.tree != 0 {
		b := b.Element(program.T("process.env")).Doing(program.T("bind %s on %s, for NOTIFY_SOCKET", r.c.NotifyDir, r.c.NotifyTarget))
		r.attachBind(b, "", &r.notify)
	}
	r.attachStore(b) // before what is cloned of it: only attached mounts can be; after the mounts, see there
	r.devices(b)
	r.detachStore(b)
	call.Umask(masks.Doing(program.T("restore the umask")), call.Value(umask))
}

// stopPropagation emits that what is mounted from here on stays in the mount namespace.
func (r *Root) stopPropagation(b *program.Builder) {
	b = b.Element(program.T("linux.rootfsPropagation")).Doing(program.T("stop mounts from propagating to the host"))
	r.propagateAll(b, unix.MS_SLAVE)
}

func (r *Root) mount(b *program.Builder, i int) {
	mnt, src := &r.c.Spec.Mounts[i], &r.mounts[i]
	if src.gone || src.root {
		return
	}
	b = b.Element(program.N("mounts[%d]", i))
	switch {
	case src.o.remount:
		b := b.Doing(program.T("remount %s", mnt.Destination))
		r.remount(b, mnt, i)
	case src.link != "":
		r.copyLink(b.Doing(program.T("copy the symbolic link %s to %s", mnt.Source, mnt.Destination)), i)
		return
	case src.o.bind:
		b := b.Doing(program.T("bind %s on %s", mnt.Source, mnt.Destination))
		switch {
		case src.inside != "":
			r.openInside(b, i, src)
		case src.atMount:
			r.openBind(b, i, src)
		}
		r.attachBind(b, mnt.Source, src)
	case mnt.Type == "cgroup" || mnt.Type == "cgroup2":
		b := b.Doing(program.T("mount %s on %s", mnt.Type, mnt.Destination))
		r.mountCgroup(b, i)
	default:
		b := b.Doing(program.T("mount %s on %s", mnt.Type, mnt.Destination))
		r.mountNew(b, i)
	}
	if src.dest == "/dev" && !src.o.remount {
		// Binds leave it closed: their /dev is somebody else's.
		r.dev, r.devOwn = 0, false
		if !src.o.bind && src.tree != 0 {
			r.dev, r.devOwn = src.tree, mnt.Type == "tmpfs" && !src.o.copyUp
		}
	}
}

// attachBind emits the attaching of a bind. The kernel has one errno for all
// mismatches of source and target; engines look for another.
func (r *Root) attachBind(b *program.Builder, from string, src *source) {
	target := r.target(b, place{dest: src.dest, src: src.tree, plain: src.dest == "/proc", nofollow: src.o.destNoFollow})
	refused, done := b.Label(), b.Label()
	step := b.Step(program.T("attach it"))
	if r.mayBePinned(src) {
		pinned, res := b.Label(), b.Reg()
		attach(step, src.tree, target).To(res).On(0, refused)
		b.Jump(done)
		b.Bind(pinned)
		r.bindPinned(b, from, src, target)
		b.Jump(done)
		b.Bind(refused)
		step.IfErrno(res, unix.ELOOP, pinned)
	} else {
		attach(step, src.tree, target).On(unix.EINVAL, refused)
		b.Jump(done)
		b.Bind(refused)
	}
	r.sayMismatch(b, src.tree, target)
	attach(step, src.tree, target) // fails as it did
	b.Bind(done)
	if !src.again && (r.prop.flag != unix.MS_SHARED || !r.prop.recursive) { // else propagate needs it
		r.closeUsed(b, src.tree)
	}
	r.closeUsed(b, target)
}

// mayBePinned reports whether the source of a bind may have mounts that pin mount namespaces,
// as snapd and CRI-O make below /run, and there is a second way.
func (r *Root) mayBePinned(s *source) bool {
	return s.o.recursive && !s.o.srcNoFollow && r.c.SourcesInChild && s.inside == "" && s.dest != "/proc" && s.o.prop != unix.MS_SHARED && !s.mapped
}

// bindPinned emits a bind by mount(2), which leaves what pins a mount namespace out, where
// a tree that has it cannot be attached. It is made on the source itself, in the child's
// copy of the host's tree, from which nothing comes to the host; from there the mount is
// taken by its descriptor, as any other bind: what gets the options is what is attached.
// In the container its name may lead elsewhere by then.
//
// Source: linux/fs/namespace.c, check_for_nsfs_mounts, copy_tree.
func (r *Root) bindPinned(b *program.Builder, from string, src *source, target program.Reg) {
	step := b.Step(program.T("bind it by mount(2), without the mount namespaces that are pinned in it"))
	call.Close(b, call.In(src.tree))
	call.Mount(step, call.FileSystem{Source: from}, call.PathTo(b, from), unix.MS_BIND|unix.MS_REC)
	step = b.Step(program.T("open it"))
	top := from
	if path.Clean(from) == "/" {
		top = "/.." // "/" itself leads to what lies beneath the mount
	}
	call.OpenTree(step, call.Cwd(), call.PathTo(b, top), unix.OPEN_TREE_CLOEXEC).To(src.tree)
	r.attributes(b, src)
	attach(b.Step(program.T("attach it")), src.tree, target)
}

// sayMismatch emits what fails with ENOTDIR when only one of a mount and its
// target is a directory.
func (r *Root) sayMismatch(b *program.Builder, tree, target program.Reg) {
	from, to := b.Zero(idiom.StatxSize), b.Zero(idiom.StatxSize)
	dir, same := b.Label(), b.Label()
	statx(b, tree, from)
	statx(b, target, to)
	isDir(b, from, dir)
	b.IfWord(idiom.Part(to, idiom.StatxMode, 2), unix.S_IFMT, program.Ne, unix.S_IFDIR, same)
	b.Step(program.T("the source is a file, the target is a directory")).Fail(unix.ENOTDIR)
	b.Bind(dir)
	b.IfWord(idiom.Part(to, idiom.StatxMode, 2), unix.S_IFMT, program.Eq, unix.S_IFDIR, same)
	b.Step(program.T("the source is a directory, the target is a file")).Fail(unix.ENOTDIR)
	b.Bind(same)
}
