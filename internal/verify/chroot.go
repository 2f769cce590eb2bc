package verify

import (
	"strconv"

	"github.com/hutch-project/hutch/internal/program"
)

func (w *walker) applyFchdir(s *state, in *program.Instr) {
	entered := w.value(s, in.Args[0])
	s.undo(fCwd)
	s.cwdPath, s.cwdPlain = 0, w.e.Removes && entered.proof&pNoLink != 0
	if entered.attr&aCovered != 0 {
		entered.path = 0 // it is not what programs see by the path
	}
	switch {
	case entered.k == kRoot:
		s.cwd = cwdRoot
	case entered.k == kCont || entered.k == kMnt && entered.attr&aAttached != 0:
		s.cwd, s.cwdPath = cwdIn, entered.path
	case entered.k == kMnt:
		s.cwd = cwdStore
	case entered.k == kHost && s.root == rootTop && w.rootOfHook(&entered):
		s.cwd = cwdInit
	case entered.k == kHost && s.root == rootHost && w.e.InitCwd && w.ofInit(entered.path, "cwd"):
		s.cwd, s.cwdPath = cwdIn, w.x.slash // the container's root, until the pivot
	case entered.k == kHost && entered.proof&pOldRoot != 0:
		s.cwd = cwdOld
	default:
		s.cwd = cwdHost
	}
}

// ofInit reports whether a path of the host is the directory name of init.
func (w *walker) ofInit(path int32, name string) bool {
	return w.texts[path] == "/proc/"+strconv.Itoa(w.e.Pid)+"/"+name
}

// selfMounts is the mount namespace of the process itself.
const selfMounts = "/proc/self/ns/mnt"

// top reports whether "/" stands for all of the mount namespace.
func (w *walker) top(s *state) bool { return !w.e.Chrooted || s.atTop }

func (w *walker) applyChroot(s *state, pc int) {
	switch {
	case s.cwd == cwdOld && s.root == rootHost && s.atTop:
		s.atTop = false
		return
	case s.cwd == cwdRoot && s.root == rootAttached && !s.store && w.top(s) && (!w.e.Chrooted || s.has(fRootOnTop)) && (w.e.NoPivot || w.x.shared):
		s.root = rootChroot
	case s.cwd == cwdInit && w.e.InitCwd:
		s.root = rootHost
	case s.cwd == cwdInit:
		s.root = rootChroot
	default:
		w.refuse(s, pc, RootChange, "it does not change to the container's root")
		return
	}
	w.note(pc, RootChange)
}
