package verify

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cpulist"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/sigaction"
)

// What a program gets with execve beside its rights, and what its caller could not give it
// otherwise: no signal is blocked or ignored, since an engine ends it by one, and it runs on the
// processors that the configuration says. A handler is code that runs with the rights that the
// process has at that moment, so that none is taken but the one that ends it.
//
// Source: execve(2), "Effect on process attributes"; sched_setaffinity(2).

// checkSignals refuses handlers, and signals that the program would go on ignoring.
func (w *walker) checkSignals(s *state, pc int, in *program.Instr) {
	if in.NR == unix.SYS_RT_SIGPROCMASK {
		if _, ok := w.sigset(in); !ok {
			w.refuse(s, pc, Known, "which signals it blocks is not known")
		}
		return
	}
	action := w.bytes(in.Args[1], sigaction.Size)
	words := sigaction.Ending()
	ending, _ := binary.Append(nil, binary.NativeEndian, words) // of words of a known size
	switch sig := unix.Signal(imm(in, 0)); {
	case action == nil || imm(in, 3) != sigaction.SetSize:
		w.refuse(s, pc, Known, "what it does at the signal is not known")
	case isZero(action):
	case !sigaction.EndsPrograms(sig) || !bytes.Equal(action, ending):
		w.refuse(s, pc, Signals, fmt.Sprintf("signal %d is ignored, or has a handler", int(sig)))
	}
}

// sigset returns the set of a call of rt_sigprocmask.
func (w *walker) sigset(in *program.Instr) (set uint64, ok bool) {
	b := w.bytes(in.Args[1], sigaction.SetSize)
	if b == nil || imm(in, 3) != sigaction.SetSize {
		return 0, false
	}
	return word64(b, 0), true
}

// applySignals notes what is blocked and what has its default action.
func (w *walker) applySignals(s *state, pc int, in *program.Instr) {
	if in.NR == unix.SYS_RT_SIGACTION {
		if f, ok := w.x.ignored[imm(in, 0)]; ok {
			s.done(f)
			w.note(pc, Signals)
		}
		return
	}
	set, _ := w.sigset(in)
	switch how := imm(in, 0); {
	case how == unix.SIG_SETMASK && set == 0:
		s.done(fUnblocked)
		w.note(pc, Signals)
	case how != unix.SIG_UNBLOCK && set != 0:
		s.undo(fUnblocked)
	}
}

// mustSignals refuses an execve with signals that are blocked or ignored.
func (w *walker) mustSignals(s *state, pc int) {
	if !s.has(fUnblocked) {
		w.refuse(s, pc, Signals, "signals are blocked")
		return
	}
	for sig, f := range w.x.ignored {
		if !s.has(f) {
			w.refuse(s, pc, Signals, fmt.Sprintf("signal %d may be ignored, as the caller does", sig))
			return
		}
	}
}

// masks are what is expected of the processors of a process.
type masks struct {
	initial, final []byte // nil for none
}

// maskSize is the size of a mask of processors that the runtime gives.
const maskSize = (cpulist.MaxCPU + 1) / 8

func everyCPU() []byte { return bytes.Repeat([]byte{0xff}, maskSize) }

// affinity notes what the configuration says of processors: all of them where it says nothing.
func (x *expected) affinity(e *Expect) {
	all := everyCPU()
	if x.proc == nil || e.Kind != Exec || x.proc.ExecCPUAffinity == nil {
		x.cpus = masks{final: all}
		return
	}
	mask := func(list string) []byte {
		if ranges, err := cpulist.Parse(list, cpulist.MaxCPU); err == nil && list != "" {
			return cpulist.Mask(ranges, maskSize)
		}
		return nil
	}
	a := x.proc.ExecCPUAffinity
	x.cpus = masks{mask(a.Initial), mask(a.Final)}
	if a.Initial == "" && a.Final == "" {
		x.cpus.final = all
	}
}

// checkAffinity refuses other processors than the configuration's.
func (w *walker) checkAffinity(s *state, pc int, in *program.Instr) {
	mask := w.bytes(in.Args[2], maskSize)
	if imm(in, 1) != maskSize || mask == nil || !isMask(mask, w.x.cpus.initial) && !isMask(mask, w.x.cpus.final) || w.e.Kind == Hook {
		w.refuse(s, pc, Settings, "these are not the processors of the configuration")
	}
}

func isMask(mask, want []byte) bool { return want != nil && bytes.Equal(mask, want) }

// applyAffinity notes that the processors are set. Where they are all it is called for an error,
// too: a host may forbid it, and the process runs where its caller did.
func (w *walker) applyAffinity(s *state, pc int, in *program.Instr) {
	mask := w.bytes(in.Args[2], maskSize)
	if want := w.x.cpus.final; want == nil || isMask(mask, want) {
		s.done(fAffinity)
	} else {
		s.undo(fAffinity)
	}
	w.note(pc, Settings)
}

func isZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
