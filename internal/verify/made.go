package verify

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// checkDir refuses to make or to change something in a directory that a symbolic link of the image
// may have led to, out of the mount that the configuration names: it may be a bind of the host's.
func (w *walker) checkDir(s *state, pc int, l *location) {
	d := &l.dir
	if d.k != kRoot && d.k != kMnt && (d.k != kCont || d.proof&(pNoLink|pNear) == 0) {
		w.refuse(s, pc, PathName, "a symbolic link may lead to the directory, and it may be one of the host's")
	}
}

// near returns what an open tells of where it leads: to the mount that a path of the configuration
// names, or to no other one from there.
func (w *walker) near(l *location, resolve uint64) uint16 {
	known := l.dir.k == kRoot || l.dir.k == kMnt || l.dir.proof&(pNoLink|pNear) != 0
	switch {
	case l.trivial() && known, resolve&(unix.RESOLVE_NO_XDEV|unix.RESOLVE_NO_SYMLINKS) != 0 && known:
		return pNear
	case l.cwd && !l.dyn && (l.trivial() || l.path == w.x.slash || w.isMounted(l.path)):
		return pNear
	}
	return 0
}

// isMounted reports whether the configuration has a mount at a path.
func (w *walker) isMounted(at int32) bool {
	return slices.ContainsFunc(w.x.mounts, func(m mountOf) bool { return m.dest == at && m.link == 0 && !m.gone })
}

// checkNode refuses a device that the configuration has not.
func (w *walker) checkNode(s *state, pc int, in *program.Instr, l *location) {
	kind := imm(in, 2) & unix.S_IFMT
	node := int64(kind<<32 | imm(in, 3))
	switch {
	case kind == unix.S_IFREG || kind == unix.S_IFIFO:
	case l.where == atMnt && w.hasDevice(node):
	case l.where == atCont && w.x.devices[l.path] == node:
	default:
		w.refuse(s, pc, HostInode, fmt.Sprintf("the configuration has no device of the type %#o and the number %#x at %s", kind, imm(in, 3), w.texts[l.path]))
	}
}

func (w *walker) hasDevice(node int64) bool {
	for _, d := range w.x.devices {
		if d == node {
			return true
		}
	}
	return node == nullDevice // for the standard descriptors
}

// checkChanged refuses to remove a file of the container, to give it away or to change its mode,
// but for a device that the configuration has and a link of /dev.
func (w *walker) checkChanged(s *state, pc int, in *program.Instr, l *location) {
	own := l.dir.k == kMnt
	switch in.NR {
	case unix.SYS_UNLINKAT:
		if w.texts[l.path] != "/dev/ptmx" || imm(in, 2) != 0 {
			w.refuse(s, pc, PathName, "a file of the container is removed")
		}
	case unix.SYS_FCHOWNAT:
		if !own && w.x.devices[l.path] == 0 {
			w.refuse(s, pc, PathName, "a file of the container is given away")
		}
	case unix.SYS_FCHMODAT:
		if !own {
			w.refuse(s, pc, PathName, "the mode of a file of the container is changed")
		}
	case unix.SYS_SYMLINKAT:
		to, _ := w.str(in.Args[0])
		if !own && !w.isLink(l.path, to) {
			w.refuse(s, pc, PathName, "a symbolic link is made that nobody asked for")
		}
	}
}

// isLink reports whether the container has a symbolic link to to at a path.
func (w *walker) isLink(at int32, to string) bool {
	for _, l := range [...][2]string{{"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"},
		{"/proc/kcore", "core"}, {"pts/ptmx", "ptmx"}} {
		if l[0] == to && "/dev/"+l[1] == w.texts[at] {
			return true
		}
	}
	return slices.ContainsFunc(w.x.mounts, func(m mountOf) bool { return m.link != 0 && m.dest == at && w.texts[m.link] == to })
}
