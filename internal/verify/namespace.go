package verify

import (
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

func (w *walker) checkSetns(s *state, pc int, in *program.Instr) {
	file, ok := w.fd(s, pc, in.Args[0], Namespaces)
	if !ok {
		return
	}
	switch {
	case file.k == kPidfd && w.e.Kind != Init && imm(in, 1) == w.e.Join:
	case file.k == kPidfd && w.e.Adds && imm(in, 1) != 0 && imm(in, 1)&^w.e.Join == 0: // one after the other
	case file.k == kSelfNS && imm(in, 1) == unix.CLONE_NEWTIME && w.texts[file.path] != selfMounts:
		if w.makesTime() && !s.has(fOffsets) {
			w.refuse(s, pc, Barrier, "the time namespace is entered before its offsets are written")
			return
		}
	case file.k == kSelfNS && imm(in, 1) == unix.CLONE_NEWNS && w.texts[file.path] == selfMounts:
	case file.k == kHost && w.x.ns[file.path]&imm(in, 1) != 0:
	default:
		w.refuse(s, pc, Namespaces, "it joins a namespace that is not the configuration's")
		return
	}
	if imm(in, 1)&unix.CLONE_NEWUSER != 0 && !s.has(fNoGroups) {
		w.refuse(s, pc, IDs, "it takes the caller's groups into a user namespace that may deny to drop them")
		return
	}
	w.note(pc, Namespaces)
}

func (w *walker) applyNamespaces(s *state, pc int, in *program.Instr) {
	w.note(pc, Namespaces)
	if in.NR == unix.SYS_UNSHARE {
		flags := imm(in, 0)
		if flags&unix.CLONE_NEWNS != 0 {
			s.undo(fSlave)
		}
		s.got |= flags &^ (unix.CLONE_NEWTIME | unix.CLONE_NEWPID)
		if flags&unix.CLONE_NEWTIME != 0 {
			s.done(fTimeMade)
		}
		return
	}
	flags := imm(in, 1)
	if w.value(s, in.Args[0]).k == kSelfNS && flags == unix.CLONE_NEWNS { // its own
		s.atTop, s.cwd, s.cwdPath = true, cwdHost, 0
		return
	}
	if w.value(s, in.Args[0]).k == kSelfNS && !s.has(fTimeMade) {
		flags = 0 // it is there already
	}
	s.got |= flags &^ unix.CLONE_NEWPID // which takes a clone
	s.pidJoined = s.pidJoined || flags&unix.CLONE_NEWPID != 0
	if flags&unix.CLONE_NEWNS != 0 {
		s.undo(fSlave)
		s.cwd, s.cwdPath = cwdHost, 0
		switch {
		case w.e.Kind == Init:
		case w.e.OwnRoot:
			s.root = rootTop
		default:
			s.root, s.cwd = rootIn, cwdRoot
		}
	}
}
