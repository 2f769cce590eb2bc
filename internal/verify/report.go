package verify

import (
	"slices"

	"github.com/hutch-project/hutch/internal/program"
)

// refuse ends the proof.
func (w *walker) refuse(s *state, pc int, r Rule, what string) {
	if w.fail != nil {
		return
	}
	e := &Error{Rule: r, Place: Place{w.inParent, pc}, What: what, Path: w.path(s, pc), State: w.words(s)}
	if pc >= 0 && pc < len(w.code) {
		in := &w.code[pc]
		e.Call = callWord(in)
		if note := w.p.Note(in).String(); note != "" {
			e.Call += ": " + note
		}
	}
	w.fail = e
}

func callWord(in *program.Instr) string {
	switch in.Op {
	case program.OpSys:
		return program.CallName(uintptr(in.NR))
	case program.OpJump:
		return "jump"
	case program.OpIf:
		return "if"
	case program.OpTell, program.OpTellData, program.OpTellFd:
		return "tell parent"
	case program.OpWait:
		return "wait for parent"
	case program.OpClose:
		return "close each"
	case program.OpFail:
		return "fail"
	}
	return "exit"
}

// path returns the way of s to pc.
func (w *walker) path(s *state, pc int) []Span {
	var out []Span
	to, parent := pc, w.inParent
	for i := s.way; i >= 0; i = w.ways[i].before {
		j := &w.ways[i]
		if j.from < 0 { // from the parent section into the child's
			out = append(out, Span{parent, 0, to})
			to, parent = int(j.to), true
			continue
		}
		out = append(out, Span{parent, int(j.to), to})
		to = int(j.from)
	}
	out = append(out, Span{parent, 0, to})
	slices.Reverse(out)
	return out
}

// note records that the instruction pc satisfies r.
func (w *walker) note(pc int, r Rule) {
	if w.inParent {
		pc += len(w.p.Child)
	}
	w.noted[pc] |= 1 << r
}

// report collects what was noted.
func (w *walker) report() *Report {
	result := &Report{Proofs: make([]Proof, rules), Steps: w.steps, States: w.states}
	for i := range result.Proofs {
		result.Proofs[i] = Proof{Rule: Rule(i), Waived: w.waive[i]}
	}
	for pc, seen := range w.seen {
		if !seen {
			result.Unreached = append(result.Unreached, pc)
		}
	}
	n := len(w.p.Child)
	at := func(pc int, parent bool, bits uint64) {
		for i := range result.Proofs {
			if bits&(1<<i) != 0 {
				result.Proofs[i].Places = append(result.Proofs[i].Places, Place{parent, pc})
			}
		}
	}
	for pc, bits := range w.noted[n : len(w.noted)-1] {
		at(pc, true, bits)
	}
	for pc, bits := range w.noted[:n] {
		at(pc, false, bits)
	}
	return result
}
