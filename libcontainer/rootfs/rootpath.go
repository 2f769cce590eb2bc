package rootfs

import (
	"strings"

	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
	"hutch/libcontainer/program/call"
)

// openRoot emits the opening of the tree at root.path, through no symbolic link: a
// bundle that was unpacked from somewhere must not make the host's files the
// container's. On the way to the bundle itself there may be links, which whoever
// names the bundle has made.
//
// The descriptor of the host's directory does not outlive this, since a way up
// leads from it to all of the host: the tree's takes its number.
func (r *Root) openRoot(b *program.Builder) {
	b.Element(program.T("root.path"))
	b.Doing(program.T("open the root file system %s", r.c.Rootfs))
	const flags = unix.O_PATH | unix.O_DIRECTORY
	linked, opened := b.Label(), b.Label()
	openDir := openAt(b, call.Cwd(), call.PathTo(b, r.c.Rootfs), flags, unix.RESOLVE_NO_SYMLINKS).On(unix.ELOOP, linked)
	dir := openDir.Fd()
	b.Jump(opened)
	b.Bind(linked)
	bundle := program.Reg(0)
	if rel, ok := strings.CutPrefix(r.c.Rootfs, r.c.Bundle+"/"); ok && r.c.Bundle != "" {
		b.Step(program.T("open the bundle %s", r.c.Bundle))
		bundle = call.Openat(b, call.Cwd(), call.PathTo(b, r.c.Bundle), flags|unix.O_CLOEXEC).Fd()
		b.Step(program.T(IsLink))
		open(b, bundle, rel, flags, unix.RESOLVE_NO_SYMLINKS).To(dir)
	} else {
		b.Step(program.T(IsLink))
		b.Fail(unix.ELOOP)
	}
	b.Bind(opened)
	b.Step(program.Text{})
	r.Fd = cloneTree(b, dir, true).Fd()
	instead := func(fd program.Reg) {
		b.Step(program.T("let the tree take the directory's place"))
		call.Dup3(b, call.In(r.Fd), call.Over(fd), unix.O_CLOEXEC)
	}
	if r.c.SharedMounts { // the tree is attached there
		r.under = dir
	} else {
		instead(dir)
	}
	if bundle != 0 {
		none := b.Label()
		b.If(bundle, program.Lt, 0, none)
		instead(bundle)
		b.Bind(none)
	}
	b.Step(program.T("set its propagation"))
	setattr(b, r.Fd, true, &unix.MountAttr{Propagation: r.beneath()})
}

// IsLink is what is wrong when root.path cannot be opened without following links.
const IsLink = "must not be a symbolic link, nor lead over one"

// attachRoot emits the attaching of the root's tree: on top of "/" of the
// namespace, where nothing has to be known of the mount that the root lies on, nor
// may its parents bar the way. In the caller's own namespace it is on root.path,
// by the descriptor that the tree was opened by.
func (r *Root) attachRoot(b *program.Builder) {
	b.Element(program.T("root.path"))
	b.Doing(program.T("attach the root file system %s", r.c.Rootfs))
	if !r.c.SharedMounts {
		attachAt(b, r.Fd, "/")
		return
	}
	attach(b, r.Fd, r.under)
	b.Step(program.T("close the host's directory"))
	call.Close(b, call.In(r.under))
}

// attachAt emits the attaching of a detached mount on top of a path of the host.
func attachAt(b *program.Builder, mnt program.Reg, at string) program.Call {
	return call.MoveMount(b, call.In(mnt), call.Place{Dir: call.Cwd(), Path: call.PathTo(b, at)}, 0)
}
