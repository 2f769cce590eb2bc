package verify

import (
	"fmt"
	"slices"

	"github.com/hutch-project/hutch/internal/program"
)

// tell does a message to the parent.
func (w *walker) tell(s *state, pc int, in *program.Instr) {
	switch {
	case s.loose:
		w.refuse(s, pc, Dumpable, "the process may be dumpable")
		return
	case s.hook:
		w.refuse(s, pc, Ends, "the process of a hook goes on as the container's")
		return
	}
	if s.socket != kSocket && s.socket != kResult {
		w.refuse(s, pc, FdUse, "the socket to the parent is closed")
		return
	}
	if in.Op == program.OpTellFd && !w.sends(s, pc, in) {
		return
	}
	tag := in.NR
	if out := s.outside(); s.ajar && out != 0 && tag != w.e.Tags.Hooks && tag != w.e.Tags.Offsets {
		w.refuse(s, pc, Dumpable, "the process is dumpable, and open are "+kindWords(out))
		return
	}
	if s.alone {
		return
	}
	for _, f := range w.forks {
		if f.Tell == pc {
			s.alone = true
			w.note(pc, Message)
			return
		}
	}
	if tag == w.e.Tags.Executing {
		s.executing = true
		w.note(pc, Message)
	}
	if s.child {
		w.refuse(s, pc, Barrier, "the runtime does not know yet which process tells it")
		return
	}
	if !w.e.Tags.Answered(tag) {
		return
	}
	if s.told != 0 {
		w.refuse(s, pc, Barrier, fmt.Sprintf("%#x is told while %#x is not answered", tag, s.told))
		return
	}
	s.told = tag
}

// sends reports whether the descriptor that a message carries may be the parent's.
func (w *walker) sends(s *state, pc int, in *program.Instr) bool {
	v, ok := w.fd(s, pc, in.Args[2], FdUse)
	root := w.e.Adds && v.path == w.x.slash // for a mount point to be made
	if ok && v.k == kCont && v.proof&pDevpts == 0 && !root {
		w.refuse(s, pc, FdUse, "a file of the container is sent as the terminal, and is not proven to be one of a devpts")
		return false
	}
	return ok
}

func (w *walker) same(wait, told uint32) bool {
	return wait == told || w.e.Tags.Same != nil && w.e.Tags.Same(wait, told)
}

// adopts reports whether tag is the one by which a second process is told of.
func (w *walker) adopts(tag uint32) bool {
	return slices.ContainsFunc(w.forks, func(f program.Fork) bool { return f.Tell < len(w.p.Child) && w.p.Child[f.Tell].NR == tag })
}

// wait does the wait for the parent's answer.
func (w *walker) wait(s *state, pc int, in *program.Instr) {
	tags, tag := &w.e.Tags, in.NR
	off, _ := in.Args[0].Addr()
	length, _ := in.Args[1].Imm()
	switch {
	case s.child:
		if !w.adopts(tag) {
			w.refuse(s, pc, Barrier, "the runtime does not know yet which process waits")
			return
		}
		s.child = false
	case s.told != 0 && w.same(tag, s.told):
	case s.told == 0 && tag == tags.HookBegins && (s.again == tags.Ready || s.again == tag): // frames that come unasked
	case s.told == 0 && length > 1 && s.again == tag && tag != tags.Ready: // a request in several parts
	default:
		w.refuse(s, pc, Barrier, fmt.Sprintf("it waits for the answer to %#x, which was not told before", tag))
		return
	}
	s.told, s.again = 0, 0
	if slices.Contains(w.unasked, tag) || tag == tags.Ready || tag == tags.HookBegins {
		s.again = tag
	}
	switch tag {
	case tags.Hooks:
		if s.cwd != cwdRoot {
			w.refuse(s, pc, RootChange, "createContainer hooks begin elsewhere than in the root")
			return
		}
	}
	w.answered(s, tag)
	w.linkAnswered(s, pc, tag)
	w.note(pc, Barrier)
	w.overwrite(s, off, uint32(length))
}

// messages refuses a program with a message that no way leads to.
func (w *walker) messages() {
	s := &state{way: -1}
	for pc := range w.p.Child {
		switch in := &w.p.Child[pc]; in.Op {
		case program.OpTell, program.OpTellData, program.OpTellFd, program.OpWait:
			if !w.seen[pc] {
				w.refuse(s, pc, Message, "no way leads to this message")
				return
			}
			w.note(pc, Message)
		}
	}
}
