package rootfs

import (
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/program/call/idiom"
)

// place is where something is to be attached.
type place struct {
	dest  string      // clean, from "/"
	src   program.Reg // the mount whose kind, file or directory, the target has; 0 is a directory
	plain bool        // no symbolic link may be on the way
	near  bool        // a symbolic link may not lead into another mount
	// nofollow is set when the last component may be a symbolic link, and is not followed.
	nofollow bool
	mode     program.Mem // where statx of a target that was there goes; empty for nowhere
	tag      uint32      // of the request to the parent; target sets it
}

// missingTarget is a target that the parent may be asked to make.
type missingTarget struct {
	dest string
	dir  bool
	link string // it is a symbolic link to there, of the mount
	done int    // how many mounts are there before
}

// target emits the opening of a mount's destination below the root, and its making
// when it is missing.
//
// It is first opened with no symbolic link allowed: then it is where its name says
// and needs no further look. Only when there is a link is it followed, inside the
// root, and must not have led into procfs.
func (r *Root) target(b *program.Builder, at place) program.Reg {
	// Below a mount that nobody else has reached no link can be in the way.
	if dir := r.mountedDir(path.Dir(at.dest)); dir != 0 && at.src == 0 {
		return r.targetIn(b, dir, at)
	}
	at.tag = uint32(TargetTag + len(r.targets))
	r.targets = append(r.targets, missingTarget{dest: at.dest, dir: at.src == 0, done: r.done})
	fd, got, made, missing, link := b.RegOf(-1), b.Label(), b.Label(), b.Label(), b.Label()
	opening := program.T("open target %s", at.dest)
	if at.plain {
		opening.F += ", which must be an ordinary directory (no symbolic link)"
	}
	step, making := b.Step(opening), b.Step(program.T("make target %s", at.dest))
	if at.plain {
		r.openTarget(step, at, plain).To(fd).On(unix.ENOENT, missing)
		b.Jump(got)
	} else {
		r.openTarget(step, at, plain).To(fd).Ignore()
		step.If(fd, program.Ge, 0, got)
		step.IfErrno(fd, unix.ENOENT, missing)
		step.IfErrno(fd, unix.ELOOP, link)
		r.openTarget(step, at, plain).To(fd) // fails as it did
		b.Jump(got)
	}

	// First by the child itself, which costs no message; the parent can where it may not.
	b.Bind(missing)
	kind := r.kind(making, at)
	ask := b.Label()
	r.make(making, at, kind, ask)
	r.openTarget(step, at, plain).To(fd).Ignore()
	step.If(fd, program.Ge, 0, made)
	b.Bind(ask)
	r.askParent(making, at, kind)
	r.openTarget(step, at, plain).To(fd) // what was missing was no symbolic link
	if !at.plain {
		b.Jump(made)
		b.Bind(link) // only here: where links are refused, this is not reached
		r.followTarget(b, at, fd)
	}
	if at.mode.Len > 0 {
		b.Jump(made)
	}
	b.Bind(got)
	at.look(b, fd)
	b.Bind(made)
	return fd
}

// look emits a look at a target that was there before: one that is made has no mode to take.
func (p place) look(b *program.Builder, target program.Reg) {
	if p.mode.Len > 0 {
		statx(b.Step(program.T("look at the mount point")), target, p.mode)
	}
}

func (r *Root) openTarget(b *program.Builder, at place, resolve uint64) program.Call {
	flags := uint64(unix.O_PATH)
	if at.src == 0 {
		flags |= unix.O_DIRECTORY
	}
	if at.nofollow {
		flags |= unix.O_NOFOLLOW
	}
	if below, ok := strings.CutPrefix(at.dest, "/dev/"); ok && at.near {
		return open(b, r.dev, below, flags, resolve) // which is a mount of its own
	}
	return open(b, r.Fd, at.dest, flags, resolve)
}

// followTarget emits the opening through symbolic links. One that leads to nothing
// yet is followed by the parent, which makes what is missing.
func (r *Root) followTarget(b *program.Builder, at place, fd program.Reg) {
	opened, dangling := b.Label(), b.Label()
	opening, resolve := program.T("open target %s", at.dest), uint64(inRoot)
	if at.near {
		opening.F += ", from which no symbolic link may lead into what is mounted"
		resolve |= unix.RESOLVE_NO_XDEV
	}
	step, making := b.Step(opening), b.Step(program.T("make target %s", at.dest))
	r.openTarget(step, at, resolve).To(fd).On(unix.ENOENT, dangling)
	at.look(b, fd)
	b.Jump(opened)
	b.Bind(dangling)
	r.askParent(making, at, r.kind(making, at))
	r.openTarget(step, at, resolve).To(fd)
	b.Bind(opened)
	if allowedUnderProc(at.dest) {
		return
	}
	// The name was checked before; a link of the image may have led into procfs all the same.
	buf, ok := b.Zero(idiom.StatfsSize), b.Label()
	step = b.Step(program.T("check target %s", at.dest))
	call.Fstatfs(step, call.In(fd), buf)
	step.IfWord(idiom.Part(buf, 0, 4), -1, program.Ne, unix.PROC_SUPER_MAGIC, ok)
	step = b.Step(program.T("target %s cannot be mounted because it is inside /proc, where a symbolic link leads", at.dest))
	step.Fail(0)
	b.Bind(ok)
}

// kind emits a look at what the source is; its length is 0 where that is known.
func (r *Root) kind(b *program.Builder, p place) program.Mem {
	if p.src == 0 {
		return program.Mem{}
	}
	buf := b.Zero(idiom.StatxSize)
	statx(b, p.src, buf)
	return buf
}

// make emits the making of a target by the child, or goes to ask. For a caller without privilege
// the child makes the directories above it, too: in a file system of the container's own the parent
// may make nothing, unless its ids are mapped there.
func (r *Root) make(b *program.Builder, p place, kind program.Mem, ask program.Label) {
	if r.c.SourcesInParent {
		r.makeHere(b, p, kind, ask)
		return
	}
	above, made := b.Label(), b.Label()
	r.makeHere(b, p, kind, above)
	b.Jump(made)
	b.Bind(above)
	for i := 1; i < len(p.dest); i++ {
		if p.dest[i] == '/' {
			r.makeHere(b, place{dest: p.dest[:i]}, program.Mem{}, ask)
		}
	}
	r.makeHere(b, p, kind, ask)
	b.Bind(made)
}

// makeHere emits the making of the last component, for the usual case that its
// directory is there; otherwise it goes to ask.
func (r *Root) makeHere(b *program.Builder, p place, kind program.Mem, ask program.Label) {
	dir, name := path.Split(p.dest)
	parent, file, done := b.RegOf(-1), b.Label(), b.Label()
	open(b, r.Fd, path.Clean(dir), unix.O_PATH|unix.O_DIRECTORY, plain).To(parent).Ignore()
	b.If(parent, program.Lt, 0, ask)
	if kind.Len > 0 {
		b.IfWord(idiom.Part(kind, idiom.StatxMode, 2), unix.S_IFMT, program.Ne, unix.S_IFDIR, file)
	}
	call.Mkdirat(b, call.In(parent), call.PathTo(b, name), 0o755).Ignore()
	if kind.Len > 0 {
		b.Jump(done)
		b.Bind(file)
		call.Mknodat(b, call.In(parent), call.PathTo(b, name), unix.S_IFREG|0o644, 0).Ignore()
	}
	b.Bind(done)
	r.closeUsed(b, parent)
}

// askParent emits the request to the parent to make the target: several
// components are missing, or a symbolic link leads to nothing.
func (r *Root) askParent(b *program.Builder, at place, kind program.Mem) {
	tell := func(tag uint32) { r.tellTarget(b, tag) }
	if kind.Len > 0 {
		dir, done := b.Label(), b.Label()
		isDir(b, kind, dir)
		tell(at.tag)
		b.Jump(done)
		b.Bind(dir)
		tell(at.tag | AsDir)
		b.Bind(done)
	} else {
		tell(at.tag)
	}
	b.Wait(at.tag, b.Zero(1))
}

// rootInParent reports whether the parent has the root's descriptor, too. Of a root that is
// cloned anew in the child it has another mount, on which the container's mounts are not.
func (r *Root) rootInParent() bool {
	return r.c.SourcesInParent && !r.c.Running && !r.newRoot() && !r.relocks()
}

// tellTarget emits the message with the tag of a target.
func (r *Root) tellTarget(b *program.Builder, tag uint32) {
	if r.rootInParent() {
		b.Keep(r.Fd)
		b.Tell(tag, 0)
	} else {
		b.TellFd(tag, 0, r.Fd) // which only the child has
	}
}

// mountedDir returns the descriptor of a tmpfs that this program has mounted on dir and
// that was empty then, 0 when there is none.
func (r *Root) mountedDir(dir string) program.Reg {
	if r.c.Running { // others have reached it by now
		return 0
	}
	for i := r.done - 1; i >= 0; i-- {
		s := &r.mounts[i]
		switch {
		case s.gone:
			return 0
		case s.dest != dir && !strings.HasPrefix(dir, s.dest+"/"):
		case s.dest == dir && r.c.Spec.Mounts[i].Type == "tmpfs" && !s.o.bind && !s.o.copyUp:
			return s.tree
		default: // it covers what was there before
			return 0
		}
	}
	return 0
}

// targetIn emits the making of a directory that can hardly be there yet, in a mount
// of the container's own.
func (r *Root) targetIn(b *program.Builder, dir program.Reg, p place) program.Reg {
	name := path.Base(p.dest)
	step := b.Step(program.T("make target %s", p.dest))
	there, made, fd := b.Label(), b.Label(), b.RegOf(-1)
	opening := b.Step(program.T("open target %s", p.dest))
	call.Mkdirat(step, call.In(dir), call.PathTo(b, name), 0o755).On(unix.EEXIST, there)
	if p.mode.Len > 0 {
		open(opening, dir, name, unix.O_PATH|unix.O_DIRECTORY, plain).To(fd)
		b.Jump(made)
	}
	b.Bind(there)
	open(opening, dir, name, unix.O_PATH|unix.O_DIRECTORY, plain).To(fd)
	p.look(b, fd)
	b.Bind(made)
	return fd
}

// parentOfMount reports whether a later mount of the configuration lies directly in
// the mount i, so that a descriptor of it pays.
func (r *Root) parentOfMount(i int) bool {
	for j := i + 1; j < len(r.mounts); j++ {
		if s := &r.mounts[j]; !s.o.bind && path.Dir(s.dest) == r.mounts[i].dest {
			return true
		}
	}
	return false
}
