package rootfs

import (
	"path"

	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

// kindOf says what a target must be: a directory, or, with stat, what the
// statx buffer of the source tells when the child runs.
type kindOf struct {
	dir  bool
	stat program.Mem
}

// wanted is a target that the parent may be asked to make.
type wanted struct {
	dest string
	dir  bool
	stat program.Mem
}

// target emits the opening of the destination of a mount below the root, and its
// making when it is missing. plain refuses symbolic links on the way, for file
// systems that programs trust by their path.
func (r *Root) target(b *program.Builder, i int, dest string, k kindOf, plain bool) program.Reg {
	resolve := uint64(inRoot)
	if plain {
		resolve |= unix.RESOLVE_NO_SYMLINKS
		b.Step(program.T("open target %s, which must be an ordinary directory", dest))
	} else {
		b.Step(program.T("open target %s", dest))
	}
	flags := uint64(unix.O_PATH)
	if k.dir {
		flags |= unix.O_DIRECTORY
	}
	fd, missing, got := b.RegOf(-1), b.Label(), b.Label()
	open(b, r.Fd, dest, flags, resolve).To(fd).On(unix.ENOENT, missing)
	b.Jump(got)
	b.Bind(missing)
	r.makeHere(b, dest, k, resolve)
	open(b, r.Fd, dest, flags, resolve).To(fd).Ignore()
	b.If(fd, program.Ge, 0, got)
	r.askParent(b, dest, k)
	open(b, r.Fd, dest, flags, resolve).To(fd)
	b.Bind(got)
	if !plain {
		r.guardProc(b, i, dest, fd)
	}
	return fd
}

// makeHere emits the making of the last component, for the usual case that its
// directory is there.
func (r *Root) makeHere(b *program.Builder, dest string, k kindOf, resolve uint64) {
	dir, name := path.Split(dest)
	parent, file, done := b.RegOf(-1), b.Label(), b.Label()
	open(b, r.Fd, path.Clean(dir), unix.O_PATH|unix.O_DIRECTORY, resolve).To(parent).Ignore()
	b.If(parent, program.Lt, 0, done)
	if !k.dir {
		b.IfWord(word(k.stat, statxMode, 2), unix.S_IFMT, program.Ne, unix.S_IFDIR, file)
	}
	b.Sys(unix.SYS_MKDIRAT, program.Val(parent), b.Str(name), program.Imm(0o755)).Ignore()
	b.Jump(done)
	b.Bind(file)
	if !k.dir {
		b.Sys(unix.SYS_MKNODAT, program.Val(parent), b.Str(name), program.Imm(unix.S_IFREG|0o644), program.Imm(0)).Ignore()
	}
	b.Bind(done)
}

// askParent emits the request to the parent to make the target: several
// components are missing, or a symbolic link leads to nothing.
func (r *Root) askParent(b *program.Builder, dest string, k kindOf) {
	r.wanted = append(r.wanted, wanted{dest, k.dir, k.stat})
	tag := uint32(TargetTag + len(r.wanted) - 1)
	dir, done := b.Label(), b.Label()
	if k.dir {
		b.Tell(tag, r.Fd)
	} else {
		isDir(b, k.stat, dir)
		b.Tell(tag, r.Fd)
		b.Jump(done)
		b.Bind(dir)
		b.Tell(tag|asDir, r.Fd)
		b.Bind(done)
	}
	b.Wait(tag, b.Zero(1))
}

// asDir in a tag of TargetTag asks for a directory.
const asDir = 0x800

// guardProc emits the refusal of a target that a symbolic link of the image has
// led into procfs, as far as one may be there.
func (r *Root) guardProc(b *program.Builder, i int, dest string, fd program.Reg) {
	if !r.procBefore(i) || allowedUnderProc(dest) {
		return
	}
	ok, buf := b.Label(), b.Zero(statfsSize)
	b.Step(program.T("check target %s", dest))
	b.Sys(unix.SYS_FSTATFS, program.Val(fd), buf.Arg())
	b.IfWord(word(buf, 0, 4), -1, program.Ne, unix.PROC_SUPER_MAGIC, ok)
	b.Step(program.T("target %s cannot be mounted because it is inside /proc", dest))
	b.Fail(0)
	b.Bind(ok)
}

// procBefore says whether a procfs is mounted before the mount i.
func (r *Root) procBefore(i int) bool {
	for j := range min(i, len(r.c.Spec.Mounts)) {
		if m := &r.c.Spec.Mounts[j]; m.Type == "proc" || r.trees[j].o.bind {
			return true
		}
	}
	return false
}
