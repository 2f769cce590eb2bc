package process

import (
	"golang.org/x/sys/unix"

	"hutch/internal/sigaction"
	"hutch/libcontainer/program"
)

// IgnoredSignals are the signals that the caller was started to ignore and that
// would stay ignored in the container: handled ones fall back by themselves, and
// Go handles all but these.
//
// Source: signal(7), "Signal dispositions"; os/signal, "Default behavior".
func IgnoredSignals() []unix.Signal {
	var out []unix.Signal
	for _, s := range [...]unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGCHLD, unix.SIGCONT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGPIPE, 32, 33, 34} {
		if sigaction.Ignored(s) {
			out = append(out, s)
		}
	}
	return out
}

// Signals emits the default action for the signals that the caller ignores.
func Signals(b *program.Builder, ignored []unix.Signal) {
	if len(ignored) == 0 {
		return
	}
	b.Element(program.T("process"))
	b.Doing(program.T("reset ignored signals"))
	none := b.Zero(sigaction.Size)
	for _, s := range ignored {
		b.Sys(unix.SYS_RT_SIGACTION, program.Imm(int(s)), none.Arg(), program.Imm(0), program.Imm(sigaction.SetSize))
	}
}

// Unblock emits the empty signal mask; until then all signals are blocked. It
// comes right before execve.
func Unblock(b *program.Builder) {
	b.Doing(program.T("unblock all signals"))
	b.Sys(unix.SYS_RT_SIGPROCMASK, program.Imm(unix.SIG_SETMASK), b.Zero(sigaction.SetSize).Arg(), program.Imm(0), program.Imm(sigaction.SetSize))
}

// Setsid emits the making of a session.
func Setsid(b *program.Builder) {
	b.Element(program.T("process"))
	b.Doing(program.T("make a session"))
	b.Sys(unix.SYS_SETSID)
}
