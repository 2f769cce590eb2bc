package verify

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// checkName refuses to make or to change anything but a single name in a directory of
// the container.
func (w *walker) checkName(s *state, pc int, in *program.Instr) {
	loc := w.place(s, in, 0)
	if loc.where == atBad {
		dir, _ := pathArgs(in, 0)
		if _, ok := w.fd(s, pc, dir, PathName); ok {
			w.refuse(s, pc, PathName, "the directory is none of the container")
		}
		return
	}
	if loc.where != atCont && loc.where != atMnt || loc.cwd {
		w.refuse(s, pc, PathName, "the directory is none of the container")
		return
	}
	if loc.dir.attr&aLink != 0 {
		w.refuse(s, pc, PathFollow, "what is changed may be a symbolic link")
		return
	}
	if loc.dir.k == kBound && (in.NR == unix.SYS_FCHOWNAT || in.NR == unix.SYS_FCHMODAT) {
		w.refuse(s, pc, HostInode, "what is bound from the host is changed")
		return
	}
	good := loc.single()
	switch in.NR {
	case unix.SYS_FCHOWNAT:
		flags := imm(in, 4)
		if loc.name == "" && !loc.dyn {
			good = flags&unix.AT_EMPTY_PATH != 0
		} else if flags&unix.AT_SYMLINK_NOFOLLOW == 0 {
			w.refuse(s, pc, PathFollow, "it follows a symbolic link: without AT_SYMLINK_NOFOLLOW")
			return
		}
	case unix.SYS_FCHMODAT: // it has no flags
		good = loc.name == "." && !loc.dyn || good && loc.dir.k == kMnt
	}
	if !good {
		w.refuse(s, pc, PathName, fmt.Sprintf("%q is not a single name in a directory of the container", loc.name))
		return
	}
	w.checkDir(s, pc, &loc)
	if in.NR == unix.SYS_MKNODAT {
		w.checkNode(s, pc, in, &loc)
	}
	w.checkChanged(s, pc, in, &loc)
	w.note(pc, PathName)
}

// checkLook refuses to look a path of the container up while descriptors of the host are
// open.
func (w *walker) checkLook(s *state, pc int, in *program.Instr) {
	l := w.place(s, in, 0)
	if l.where == atBad {
		dir, _ := pathArgs(in, 0)
		w.fd(s, pc, dir, FdUse)
		return
	}
	ours := in.NR == unix.SYS_STATFS && !l.dyn && w.x.at[l.path] // a mount of the configuration is proven so
	entry := !l.cwd && l.single() && in.NR == unix.SYS_STATX && imm(in, 2)&unix.AT_SYMLINK_NOFOLLOW != 0
	if l.where == atCont && !l.trivial() && !ours && !entry {
		w.checkNames(s, pc)
	}
}

// checkNames refuses a name of the image's choice while descriptors of the host are open.
func (w *walker) checkNames(s *state, pc int) {
	if out := s.outside(); out != 0 {
		w.refuse(s, pc, FdName, "open are "+kindWords(out)+", to which the name may lead by /proc/self/fd")
		return
	}
	w.note(pc, FdName)
}
