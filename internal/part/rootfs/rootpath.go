package rootfs

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// openRoot emits the opening of the tree at root.path, through no symbolic link: a
// bundle that was unpacked from somewhere must not make the host's files the
// container's. On the way to the bundle itself there may be links, which whoever
// names the bundle has made.
//
// The descriptor of the host's directory does not outlive this, since a way up
// leads from it to all of the host: the tree's takes its number.
func (r *Root) openRoot(b *program.Builder) {
	if r.onRoot != nil {
		r.openOnRoot(b)
		return
	}
	b = b.Element(program.T("root.path")).Doing(program.T("open the root file system %s", r.c.Rootfs))
	h := r.openDir(b, noLabel)
	r.Fd = cloneTree(b, h.dir, true).Fd()
	if r.c.SharedMounts { // the tree is attached there
		r.under = h.dir
	} else {
		r.displace(b, h.dir)
	}
	r.displaceBundle(b, h)
	setattr(b.Step(program.T("set its propagation")), r.Fd, true, &unix.MountAttr{Propagation: r.innerPropagation()})
}

// hostDirs are descriptors of the host: of the directory at root.path, and of the
// bundle, in a register that is 0 or may hold -1.
type hostDirs struct{ dir, bundle program.Reg }

// openDir emits the opening of the directory at root.path. What fails goes on at failed
// unless that is noLabel.
func (r *Root) openDir(b *program.Builder, failed program.Label) (h hostDirs) {
	const flags = unix.O_PATH | unix.O_DIRECTORY
	or := func(c program.Call) program.Call {
		if failed != noLabel {
			return c.On(0, failed)
		}
		return c
	}
	again, opened := b.Label(), b.Label()
	direct := openAt(b, call.Cwd(), call.PathTo(b, r.c.Rootfs), flags, unix.RESOLVE_NO_SYMLINKS)
	if failed == noLabel {
		direct = direct.On(unix.ELOOP, again)
	} else {
		direct = direct.On(0, again)
	}
	h.dir = direct.Fd()
	b.Jump(opened)
	b.Bind(again)
	// Links may lead to the bundle, which the caller has named, and none on from there.
	if rel, ok := strings.CutPrefix(r.c.Rootfs, r.c.Bundle+"/"); ok && r.c.Bundle != "" {
		step := b.Step(program.T("open the bundle %s", r.c.Bundle))
		h.bundle = or(call.Openat(step, call.Cwd(), call.PathTo(b, r.c.Bundle), flags|unix.O_CLOEXEC)).Fd()
		or(open(b.Step(program.T(IsLink)), h.bundle, rel, flags, unix.RESOLVE_NO_SYMLINKS)).To(h.dir)
	} else if failed == noLabel {
		b.Step(program.T(IsLink)).Fail(unix.ELOOP)
	} else {
		b.Jump(failed)
	}
	b.Bind(opened)
	return h
}

// displace emits that the root's tree takes the number of a descriptor of the host.
func (r *Root) displace(b *program.Builder, fd program.Reg) {
	step := b.Step(program.T("let the tree take the directory's place"))
	call.Dup3(step, call.In(r.Fd), call.Over(fd), unix.O_CLOEXEC)
}

// displaceBundle emits that the root's tree takes the number of the bundle's descriptor.
func (r *Root) displaceBundle(b *program.Builder, h hostDirs) {
	if h.bundle == 0 {
		return
	}
	none := b.Label()
	b.If(h.bundle, program.Lt, 0, none)
	r.displace(b, h.bundle)
	b.Bind(none)
}

// IsLink is what is wrong when root.path cannot be opened without following links.
const IsLink = "must not be a symbolic link, nor lead over one"

// attachRoot emits the attaching of the root's tree: on top of "/" of the namespace,
// where nothing has to be known of the mount that the root lies on, nor may its parents
// bar the way. Where hooks look at the namespace before the pivot it is at root.path, as
// they know it, if the container's root can get there. In the caller's own namespace it
// is on root.path, by the descriptor that the tree was opened by.
//
// Source: runtime-spec config.md "createRuntime Hooks", "createContainer Hooks".
func (r *Root) attachRoot(b *program.Builder) {
	b = b.Element(program.T("root.path")).Doing(program.T("attach the root file system %s", r.c.Rootfs))
	switch {
	case r.c.SharedMounts:
		attach(b, r.Fd, r.under)
		call.Close(b.Step(program.T("close the host's directory")), call.In(r.under))
	case r.c.Seen:
		onTop, done := b.Label(), b.Label()
		h := r.openDir(b, onTop)
		attach(b, r.Fd, h.dir)
		r.displace(b, h.dir)
		b.Jump(done)
		b.Bind(onTop)
		step := b.Step(program.T(`attach it on "/"`))
		attachAt(step, r.Fd, "/")
		b.Bind(done)
		r.displaceBundle(b, h)
	default:
		attachAt(b, r.Fd, "/")
	}
}

// Stand emits that the working directory is the root: for hooks.
func (r *Root) Stand(b *program.Builder) {
	call.Fchdir(b.Step(program.T("go to the root of the container")), call.In(r.Fd))
}

// attachAt emits the attaching of a detached mount on top of a path of the host.
func attachAt(b *program.Builder, mnt program.Reg, at string) program.Call {
	return call.MoveMount(b, call.In(mnt), call.Place{Dir: call.Cwd(), Path: call.PathTo(b, at)}, 0)
}
