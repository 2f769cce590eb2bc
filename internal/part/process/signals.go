package process

import (
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/sigaction"
)

// IgnoredSignals returns the signals that would stay ignored in the container:
// clone3's CLONE_CLEAR_SIGHAND makes handled ones default, and leaves these, as Signals
// does in its place. Go
// handles nearly all signals and knows which it found or was told to ignore; the
// four for which it does nothing are asked of the kernel.
//
// Source: signal(7), "Signal dispositions"; clone(2), CLONE_CLEAR_SIGHAND;
// os/signal, "Default behavior of signals in Go programs".
func IgnoredSignals() []unix.Signal {
	var out []unix.Signal
	for s := unix.Signal(1); s <= sigaction.Last; s++ {
		switch s {
		case unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGCONT:
			if sigaction.Ignored(s) {
				out = append(out, s)
			}
		default:
			if signal.Ignored(s) {
				out = append(out, s)
			}
		}
	}
	return out
}

// Signals emits the default action for the signals that the caller ignores; where the
// process was made by clone, also for those that the caller handles, before they are
// unblocked: no handler of Go's may run in the child.
//
// Source: sigaction(2).
func Signals(b *program.Builder, ignored []unix.Signal) {
	if b.OldClone() {
		ignored = changeable()
	}
	if len(ignored) == 0 {
		return
	}
	b = b.Element(program.T("process")).Doing(program.T("reset ignored signals"))
	none := b.Zero(sigaction.Size)
	for _, s := range ignored {
		call.RtSigaction(b, s, none)
	}
}

// changeable returns the signals whose action can be changed.
func changeable() (list []unix.Signal) {
	for s := unix.Signal(1); s <= sigaction.Last; s++ {
		if s != unix.SIGKILL && s != unix.SIGSTOP {
			list = append(list, s)
		}
	}
	return list
}

// EndOnSignals emits that a signal which asks a program for its end ends this process, while
// no program is there: engines send it to the number of a created container, too. execve
// gives it its default action.
//
// It comes before the seccomp filter, which need not have the calls.
func EndOnSignals(b *program.Builder) {
	b = b.Element(program.T("process")).Doing(program.T("end by a signal that comes before start"))
	ending := sigaction.Ending()
	action := program.Struct(b, &ending)
	var set uint64
	for s := unix.Signal(1); s <= sigaction.Last; s++ {
		if sigaction.EndsPrograms(s) {
			call.RtSigaction(b, s, action)
			set |= 1 << (s - 1)
		}
	}
	call.RtSigprocmask(b, unix.SIG_UNBLOCK, program.Struct(b, &set))
}

// Unblock emits the empty signal mask; until then all signals are blocked, but those of
// EndOnSignals. It comes right before execve.
//
// Source: sigprocmask(2).
func Unblock(b *program.Builder) {
	unblock(b.Element(program.T("process")).Doing(program.T("unblock all signals")))
}

// UnblockStep is Unblock as a step of something else.
func UnblockStep(b *program.Builder) {
	unblock(b.Step(program.T("unblock all signals")))
}

func unblock(b *program.Builder) {
	call.RtSigprocmask(b, unix.SIG_SETMASK, b.Zero(sigaction.SetSize))
}

// Setsid emits the making of a session, with a process group of its own.
//
// Source: setsid(2).
func Setsid(b *program.Builder) {
	b = b.Element(program.T("process")).Doing(program.T("make a session"))
	call.Setsid(b)
}
