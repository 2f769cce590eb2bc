package verify

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// changing are the flags by which an open changes a file, or lets it be changed.
const changing = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC | unix.O_TMPFILE&^unix.O_DIRECTORY

// safe are the flags of openat2 one of which has an open follow no magic link.
const safe = unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_SYMLINKS

// checkOpen refuses an open that may lead out of where it is to lead.
func (w *walker) checkOpen(s *state, pc int, in *program.Instr) {
	loc := w.place(s, in, 0)
	if loc.where == atBad {
		dir, _ := pathArgs(in, 0)
		w.fd(s, pc, dir, FdUse)
		w.refuse(s, pc, FdUse, "the directory is no descriptor to open below")
		return
	}
	if loc.dir.attr&aLink != 0 {
		w.refuse(s, pc, PathFollow, "it opens below what may be a symbolic link")
		return
	}
	w.checkCallersRoot(s, pc, &loc)
	if in.NR == unix.SYS_OPENAT {
		w.checkOpenat(s, pc, in, &loc)
		return
	}
	flags, _, resolve, ok := w.howOf(in)
	if !ok {
		w.refuse(s, pc, PathResolve, "struct open_how is not known")
		return
	}
	if slices.Contains(strings.Split(loc.name, "/"), "..") && !loc.dyn {
		w.refuse(s, pc, PathResolve, "a name leads up, and what it leads to is not what it says")
		return
	}
	switch loc.where {
	case atHost:
		if flags&changing != 0 {
			w.refuse(s, pc, HostWrite, "a file of the host is opened for writing")
		}
		if loc.path == w.x.rootfs && resolve&unix.RESOLVE_NO_SYMLINKS == 0 {
			w.refuse(s, pc, PathResolve, "root.path may lead over a symbolic link")
		}
	case atProc:
		w.checkOpenProc(s, pc, &loc, resolve)
	default:
		w.checkOpenInside(s, pc, &loc, flags, resolve)
	}
}

// checkOpenProc is checkOpen for a file of a procfs.
func (w *walker) checkOpenProc(s *state, pc int, l *location, resolve uint64) {
	if resolve&unix.RESOLVE_BENEATH == 0 || resolve&unix.RESOLVE_NO_XDEV == 0 || resolve&safe == 0 {
		w.refuse(s, pc, ProcWrite, "a file of a procfs is opened without RESOLVE_BENEATH, RESOLVE_NO_XDEV and RESOLVE_NO_MAGICLINKS")
		return
	}
	if name, is := strings.CutPrefix(l.name, "sys/"); is && w.foreign(s, name) {
		w.refuse(s, pc, ProcWrite, "a parameter is opened before the process is in the namespace that it is of")
		return
	}
	w.note(pc, ProcWrite)
}

// checkOpenInside is checkOpen for a file of the container or of a mount that is made for it.
func (w *walker) checkOpenInside(s *state, pc int, l *location, flags, resolve uint64) {
	kept := resolve&(unix.RESOLVE_IN_ROOT|unix.RESOLVE_BENEATH) != 0
	inside := s.root == rootIn || s.root == rootChroot
	if flags&(unix.O_CREAT|unix.O_TRUNC) != 0 && l.where == atCont && l.dir.k != kMnt {
		w.refuse(s, pc, PathName, "a file of the container, or of the host that is bound there, is made or emptied by a path")
		return
	}
	if !kept && !(inside && l.where == atCont) || resolve&safe == 0 {
		w.refuse(s, pc, PathResolve, "without RESOLVE_IN_ROOT or RESOLVE_BENEATH, or without RESOLVE_NO_MAGICLINKS")
		return
	}
	if l.dyn && (l.where != atMnt && resolve&unix.RESOLVE_IN_ROOT == 0 || resolve&unix.RESOLVE_NO_SYMLINKS == 0) && resolve&unix.RESOLVE_NO_XDEV == 0 && resolve&unix.RESOLVE_IN_ROOT == 0 {
		w.refuse(s, pc, PathResolve, "a name that comes from outside is opened without RESOLVE_NO_XDEV")
		return
	}
	w.note(pc, PathResolve)
	if l.cwd && flags&unix.O_PATH == 0 && w.x.proc != nil {
		if !s.capSet {
			w.refuse(s, pc, PathLate, "a file of the image is read before the capabilities are the container's")
			return
		}
		w.note(pc, PathLate)
	}
}

// checkCallersRoot refuses to resolve a path of the host from the top of the mount namespace for
// a caller in a chroot.
func (w *walker) checkCallersRoot(s *state, pc int, l *location) {
	if l.where == atHost && l.cwd && w.e.Chrooted && s.atTop && l.name != "/" {
		w.refuse(s, pc, RootChange, "a path of the host is resolved outside of the caller's root directory")
	}
}

func (w *walker) checkOpenat(s *state, pc int, in *program.Instr, l *location) {
	flags := imm(in, 2)
	switch {
	case l.where == atHost && flags&changing != 0:
		w.refuse(s, pc, HostWrite, "a file of the host is opened for writing")
	case l.where == atHost:
	case l.where == atCont && l.cwd && l.trivial() && flags&unix.O_PATH != 0:
		w.note(pc, PathResolve)
	default:
		w.refuse(s, pc, PathResolve, "a path of the container is opened by openat, which follows magic links")
	}
}

func (w *walker) applyOpen(s *state, in *program.Instr) value {
	loc := w.place(s, in, 0)
	var flags, resolve uint64
	if in.NR == unix.SYS_OPENAT {
		flags = imm(in, 2)
	} else {
		flags, _, resolve, _ = w.howOf(in)
	}
	opened := value{path: loc.path, attr: loc.dir.attr & aCovered}
	if flags&unix.O_PATH == 0 {
		opened.attr |= aData
	}
	if flags&(unix.O_WRONLY|unix.O_RDWR) != 0 {
		opened.attr |= aWrite
	}
	switch loc.where {
	case atHost:
		opened.k = kHost
		if resolve&unix.RESOLVE_NO_SYMLINKS != 0 {
			opened.proof |= pNoLink
		}
		switch {
		case loc.name == "/proc/self/ns/time_for_children", loc.name == selfMounts && w.e.Chrooted && s.got&unix.CLONE_NEWNS != 0:
			opened.k = kSelfNS
		case w.opensOwnRoot(s, &loc):
			opened.proof |= pOldRoot
		}
	case atProc:
		opened.k = kProcFile
	case atTree:
		opened.k = kHost
		if ro := loc.dir.attr & (aRO | aWhole | aDeep); (ro == aRO || ro == aRO|aWhole|aDeep) && loc.single() && resolve&unix.RESOLVE_NO_SYMLINKS != 0 {
			opened.k = kNull
		}
	case atMnt:
		opened.k, opened.fs, opened.path = kMnt, loc.dir.fs, 0
		if loc.dir.attr&aRO != 0 && w.nodes[loc.name] == nullDevice && resolve&unix.RESOLVE_NO_SYMLINKS != 0 {
			opened.k = kNull // of a node that the program has made
		}
	default:
		opened.k = kCont
		if loc.dir.k == kContTree && loc.dir.attr&aAttached == 0 {
			opened.attr |= aCovered // nobody sees a clone
		}
		if resolve&unix.RESOLVE_NO_SYMLINKS != 0 {
			opened.proof |= pNoLink
		}
		opened.proof |= w.near(&loc, resolve)
		if flags&unix.O_PATH != 0 && flags&unix.O_NOFOLLOW != 0 {
			opened.attr |= aLink
		}
	}
	return opened
}

// nullDevice is the null device as a node.
const nullDevice = unix.S_IFCHR<<32 | 1<<8 | 3

// makesNode learns which devices the names in a file system of the program's own are; 0 for one
// that is several.
func (w *walker) makesNode(s *state, in *program.Instr) {
	loc := w.place(s, in, 0)
	if loc.where != atMnt || loc.dyn {
		return
	}
	node := int64(imm(in, 2)&unix.S_IFMT<<32 | imm(in, 3))
	if was, ok := w.nodes[loc.name]; ok && was != node {
		node = 0
	}
	if w.nodes == nil {
		w.nodes = make(map[string]int64)
	}
	w.nodes[loc.name] = node
}
