package seccomp

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// maxProgram is BPF_MAXINSNS. Source: linux/bpf_common.h.
const maxProgram = 4096

// target is where a jump goes: a place in the program, or a verdict.
type target struct {
	place   int // 1 is the program's last instruction; 0 stands for a verdict
	verdict uint32
}

func ret(verdict uint32) target { return target{verdict: verdict} }

// assembler builds a program from its end to its begin: jumps go forward only, so
// a jump's targets are there before it, and its distances are known.
type assembler struct {
	code []unix.SockFilter // the last instruction first
	rets []target          // the newest return of each verdict
}

func (a *assembler) emit(code uint16, k uint32, jt, jf uint8) target {
	a.code = append(a.code, unix.SockFilter{Code: code, K: k, Jt: jt, Jf: jf})
	return target{place: len(a.code)}
}

// load loads a word of struct seccomp_data and goes on to next.
func (a *assembler) load(offset uint32, next target) target {
	a.next(next)
	return a.emit(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offset, 0, 0)
}

// and masks the accumulator and goes on to next.
func (a *assembler) and(mask uint32, next target) target {
	a.next(next)
	return a.emit(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, mask, 0, 0)
}

// next sees that t comes next.
func (a *assembler) next(t target) {
	switch {
	case t.place == 0:
		a.ret(t.verdict)
	case t.place != len(a.code):
		a.emit(unix.BPF_JMP|unix.BPF_JA, uint32(len(a.code)-t.place), 0, 0)
	}
}

func (a *assembler) ret(verdict uint32) target {
	t := a.emit(unix.BPF_RET|unix.BPF_K, verdict, 0, 0)
	for i := range a.rets {
		if a.rets[i].verdict == verdict {
			a.rets[i].place = t.place
			return t
		}
	}
	a.rets = append(a.rets, target{t.place, verdict})
	return t
}

// jump compares the accumulator with k by test (BPF_JEQ, BPF_JGT or BPF_JGE).
func (a *assembler) jump(test uint16, k uint32, yes, no target) target {
	if yes == no {
		return yes
	}
	// To bring one target near moves the other by an instruction at most.
	yes = a.near(yes, 1)
	no = a.near(no, 0)
	return a.emit(unix.BPF_JMP|test|unix.BPF_K, k, uint8(len(a.code)-yes.place), uint8(len(a.code)-no.place))
}

// near returns a place for t that a conditional jump reaches after slack more
// instructions: those of 255 at most. A verdict that is far is made once more, a
// far place gets a long jump.
func (a *assembler) near(t target, slack int) target {
	if t.place != 0 {
		if len(a.code)-t.place+slack <= 255 {
			return t
		}
		return a.emit(unix.BPF_JMP|unix.BPF_JA, uint32(len(a.code)-t.place), 0, 0)
	}
	for _, r := range a.rets {
		if r.verdict == t.verdict && len(a.code)-r.place+slack <= 255 {
			return target{place: r.place}
		}
	}
	return a.ret(t.verdict)
}

// program returns the whole program, which begins at start.
func (a *assembler) program(start target) ([]unix.SockFilter, error) {
	a.next(start)
	if len(a.code) > maxProgram {
		return nil, fmt.Errorf("linux.seccomp.syscalls: the filter has %d instructions, the kernel takes %d; use fewer conditions or architectures", len(a.code), maxProgram)
	}
	slices.Reverse(a.code)
	return a.code, nil
}
