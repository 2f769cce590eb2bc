package verify

import "github.com/hutch-project/hutch/internal/program"

// applySymlink records that a symbolic link of the configuration is made, in a directory
// that was found without following one.
func (w *walker) applySymlink(s *state, pc int, in *program.Instr) {
	to, ok := w.str(in.Args[0])
	l := w.place(s, in, 0)
	if !ok || l.where != atCont || l.dyn || l.dir.proof&pNoLink == 0 || l.dir.attr&aCovered != 0 {
		return
	}
	w.linked(s, pc, l.path, w.text(to))
}

// linkAnswered records that the parent has made what it was asked for with the tag.
func (w *walker) linkAnswered(s *state, pc int, tag uint32) {
	if made, ok := w.e.LinkTags[tag]; ok {
		w.linked(s, pc, w.text(made[0]), w.text(made[1]))
	}
}

func (w *walker) linked(s *state, pc int, at, to int32) {
	for i := range w.x.mounts {
		if m := &w.x.mounts[i]; m.link == to && to != 0 && m.dest == at {
			s.done(m.done)
			w.note(pc, MountConfig)
		}
	}
}
