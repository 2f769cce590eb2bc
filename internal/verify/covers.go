package verify

import (
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// boundBy returns a bind of the configuration whose source mount(2) binds on itself, in
// the child's copy of the host's tree; nil for none.
func (w *walker) boundBy(in *program.Instr) *mountOf {
	from, ok := w.str(in.Args[0])
	at, known := w.pathText(in, 0)
	if !ok || !known || from != at || imm(in, 3) != unix.MS_BIND|unix.MS_REC {
		return nil
	}
	return w.bindOf(w.text(from))
}

// bindOf returns a bind of the configuration by its source; nil for none.
func (w *walker) bindOf(source int32) *mountOf {
	for i := range w.x.mounts {
		if m := &w.x.mounts[i]; m.bind && m.source == source {
			return m
		}
	}
	return nil
}

// boundOn returns the bind whose source was bound on itself at the place l of the host; nil
// for none.
func (w *walker) boundOn(s *state, l *location) *mountOf {
	if l.where != atHost || !l.cwd || l.dyn {
		return nil
	}
	source := l.path
	if l.name == "/.." { // the top of what lies on the root
		source = w.x.slash
	}
	if m := w.bindOf(source); m != nil && s.has(m.bound) {
		return m
	}
	return nil
}

// covers notes what lies beneath a mount that is attached at a path: what is open there
// or below it, and what was covered there.
func (w *walker) covers(s *state, at int32) {
	inLoop := at == 0 && (w.waive[Masked] != "" || w.waive[ReadOnly] != "") // on one of very many paths
	for i := range s.regs {
		if v := &s.regs[i]; !inLoop && v.inContainer() && v.path > 0 && w.beneath(v.path, at) {
			v.attr |= aCovered
		}
	}
	for _, facts := range [...]map[int32]int{w.x.masked, w.x.readonly} {
		for path, f := range facts {
			if s.has(f) && w.beneath(path, at) {
				s.undo(f)
			}
		}
	}
}
