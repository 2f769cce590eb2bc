package rootfs

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/program/call/idiom"
)

// A mount on "/" takes the place of the tree at root.path. It is not stacked on that tree:
// the root's descriptor is then one of the mount, so that all that goes by the descriptor
// (mount points, devices, masks, read-only paths, propagation, the pivot) is done to what the
// container sees, and nothing of the image is left beneath it. The mounts listed before it
// would be covered, and are not made.

// OnRoot returns the index of the mount that takes the place of root.path, the last one with
// the destination "/", or -1 where there is none.
func OnRoot(mounts []specs.Mount) int {
	for i := len(mounts) - 1; i >= 0; i-- {
		if isRoot(mounts[i].Destination) {
			return i
		}
	}
	return -1
}

// Base returns the directory of the host that the container's root is made of: rootfs, or
// where a mount is on "/" its source; empty where that is a new file system.
func Base(rootfs string, mounts []specs.Mount) string {
	i := OnRoot(mounts)
	switch {
	case i < 0:
		return rootfs
	case IsBind(&mounts[i]):
		return mounts[i].Source
	}
	return ""
}

// checkOnRoot refuses what cannot be the root of a container.
func checkOnRoot(i int, mnt *specs.Mount) error {
	at := fault.At("mounts", i)
	if slices.Contains(mnt.Options, "remount") {
		return fault.New(at+".options", "the root of the container is not remounted",
			"set root.readonly, or give the options to the mount on /")
	}
	if !IsBind(mnt) {
		switch mnt.Type {
		case "proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue":
			return fault.New(at+".type", fault.Quote(mnt.Type)+" is no root file system",
				"bind a directory on /, or mount a tmpfs or another file system for files")
		}
		if slices.Contains(mnt.Options, "idmap") || slices.Contains(mnt.Options, "ridmap") || len(mnt.UIDMappings)+len(mnt.GIDMappings) > 0 {
			return fault.New(at, "a new file system on / has no mappings of its own",
				"remove uidMappings, gidMappings, idmap and ridmap")
		}
	}
	for j, o := range mnt.Options {
		switch o {
		case "copy-symlink", "src-nofollow", "dest-nofollow", "tmpcopyup":
			return fault.New(fault.At(at+".options", j), fault.Quote(o)+" is not for a mount on /",
				"remove it, or name another destination")
		}
	}
	return nil
}

// takeRoot notes that the mount i, whose options are read, is the root. What its options say
// of propagation and of being read-only comes when all is mounted in it, as for root.path.
func (r *Root) takeRoot(i int, s *source) {
	r.onRoot, r.onRootAt = s, i
	s.root, s.inside, s.atMount = true, "", false
	const ro = unix.MOUNT_ATTR_RDONLY
	if s.o.bind || r.c.Spec.Mounts[i].Type == "tmpfs" { // others' superblocks are read-only
		s.rootRO = s.o.change.set&ro != 0
		s.o.change.set &^= ro
	}
	if s.o.prop != 0 {
		r.prop = propagation{s.o.prop, s.o.propRecursive}
		s.o.prop, s.o.propRecursive = 0, false
	}
}

// newRoot reports whether the root is a new file system, which the child makes.
func (r *Root) newRoot() bool { return r.onRoot != nil && !r.onRoot.o.bind }

// openOnRoot emits the opening of what takes the place of root.path, as far as it comes from
// the host, and in the caller's mount namespace of the place itself.
func (r *Root) openOnRoot(b *program.Builder) {
	if r.c.SharedMounts {
		b := b.Element(program.T("root.path")).Doing(program.T("open the root file system %s", r.c.Rootfs))
		h := r.openDir(b, noLabel)
		r.under = h.dir
		if h.bundle != 0 {
			call.Close(b.Step(program.T("close the bundle")), call.In(h.bundle)).Ignore()
		}
	}
	if r.newRoot() {
		return
	}
	r.openBind(b, r.onRootAt, r.onRoot)
	r.mustBeDir(b, r.onRoot)
	r.Fd = r.onRoot.tree
}

// mustBeDir emits that the source of the bind is a directory: the kernel has one errno for
// all mismatches.
func (r *Root) mustBeDir(b *program.Builder, s *source) {
	b = b.Element(program.N("mounts[%d]", r.onRootAt)).Doing(program.T("bind %s on %s", r.c.Spec.Mounts[r.onRootAt].Source, s.dest))
	buf, dir := b.Zero(idiom.StatxSize), b.Label()
	statx(b.Step(program.T("look at the source")), s.tree, buf)
	isDir(b, buf, dir)
	b.Step(program.T("the source is a file, and no root file system")).Fail(unix.ENOTDIR)
	b.Bind(dir)
}

// makeRoot emits, in the child as root of its namespaces, the making of a new file system
// for the root.
func (r *Root) makeRoot(b *program.Builder) {
	if !r.newRoot() {
		return
	}
	m, s := &r.c.Spec.Mounts[r.onRootAt], r.onRoot
	b = b.Element(program.N("mounts[%d]", r.onRootAt)).Doing(program.T("mount %s on %s", m.Type, m.Destination))
	f := r.newFSWithMode(r.onRootAt)
	if r.looksAtMode(r.onRootAt) || m.Type == "tmpfs" && !s.o.hasData("mode") && r.c.Modes[r.onRootAt] == 0 {
		f.data = append(slices.Clip(f.data), "mode=755") // the kernel's is 1777
	}
	s.tree = b.RegOf(-1)
	r.makeFS(b, f, s.tree, noLabel)
	r.Fd = s.tree
	setattr(b.Step(program.T("set its propagation")), r.Fd, false, &unix.MountAttr{Propagation: r.innerPropagation()})
}
