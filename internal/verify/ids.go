package verify

import (
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/id32"
	"github.com/hutch-project/hutch/internal/program"
)

const (
	setgroups = uint64(id32.Setgroups)
	setresuid = uint64(id32.Setresuid)
	setresgid = uint64(id32.Setresgid)
	fchown    = uint64(id32.Fchown)
)

// applyIDs follows the order groups, group, user: each undoes what has to come after.
func (w *walker) applyIDs(s *state, pc int, in *program.Instr) {
	s.undo(fDumpable)
	s.undo(fAmbient)
	s.loose = s.loose || uint64(in.NR) != setgroups
	three := func() (uint32, bool) {
		a, b, c := imm(in, 0), imm(in, 1), imm(in, 2)
		return uint32(a), a == b && b == c
	}
	if uint64(in.NR) == setgroups && w.e.KeepGroups {
		w.refuse(s, pc, IDs, "the groups of the caller are to be kept")
		return
	}
	if w.dropsGroups(s, in) {
		s.done(fNoGroups)
		w.note(pc, IDs)
		return
	}
	proc := w.x.proc
	if proc == nil {
		return
	}
	switch uint64(in.NR) {
	case setgroups:
		s.undo(fGid)
		s.undo(fUid)
		n := imm(in, 0)
		if b := w.bytes(in.Args[1], uint32(4*n)); int(n) == len(proc.User.AdditionalGids) && b != nil {
			for i, g := range proc.User.AdditionalGids {
				if word32(b, 4*i) != g {
					return
				}
			}
			s.done(fGroups)
			w.note(pc, IDs)
		}
	case setresgid:
		s.undo(fUid)
		if id, same := three(); same && id == proc.User.GID && s.has(fGroups) {
			s.done(fGid)
			w.note(pc, IDs)
		}
	case setresuid:
		if id, same := three(); same && id == proc.User.UID && s.has(fGid) {
			s.done(fUid)
			w.note(pc, IDs)
		} else {
			s.undo(fUid)
		}
	}
}

// dropsGroups reports whether in drops all groups on the way to a user namespace that is
// joined: what is done there later may be denied.
func (w *walker) dropsGroups(s *state, in *program.Instr) bool {
	n, ok := in.Args[0].Imm()
	return uint64(in.NR) == setgroups && ok && n == 0 && w.x.joinsUser && s.got&unix.CLONE_NEWUSER == 0
}
