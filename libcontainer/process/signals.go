package process

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

// kernelSigaction is large enough for the kernel's struct sigaction of each
// architecture. All zero it stands for the default action.
type kernelSigaction [4]uint64

// sigsetSize is the size of the kernel's sigset_t in bytes.
const sigsetSize = 8

// IgnoredSignals are the signals that the caller was started to ignore and that
// would stay ignored in the container: handled ones fall back by themselves, and
// Go handles all but these.
//
// Source: signal(7), "Signal dispositions"; os/signal, "Default behavior".
func IgnoredSignals() []unix.Signal {
	var out []unix.Signal
	for _, s := range [...]unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGCHLD, unix.SIGCONT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGPIPE, 32, 33, 34} {
		var a kernelSigaction
		_, _, e := syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), 0, uintptr(unsafe.Pointer(&a)), sigsetSize, 0, 0)
		if e == 0 && *(*uintptr)(unsafe.Pointer(&a)) == sigIgn {
			out = append(out, s)
		}
	}
	return out
}

const sigIgn = 1

// Signals emits the default action for the signals that the caller ignores.
func Signals(b *program.Builder, ignored []unix.Signal) {
	if len(ignored) == 0 {
		return
	}
	b.Element(program.T("process"))
	b.Doing(program.T("reset ignored signals"))
	none := b.Zero(int(unsafe.Sizeof(kernelSigaction{})))
	for _, s := range ignored {
		b.Sys(unix.SYS_RT_SIGACTION, program.Imm(int(s)), none.Arg(), program.Imm(0), program.Imm(sigsetSize))
	}
}

// Unblock emits the empty signal mask; until then all signals are blocked. It
// comes right before execve.
func Unblock(b *program.Builder) {
	b.Doing(program.T("unblock all signals"))
	b.Sys(unix.SYS_RT_SIGPROCMASK, program.Imm(unix.SIG_SETMASK), b.Zero(sigsetSize).Arg(), program.Imm(0), program.Imm(sigsetSize))
}

// Setsid emits the making of a session.
func Setsid(b *program.Builder) {
	b.Element(program.T("process"))
	b.Doing(program.T("make a session"))
	b.Sys(unix.SYS_SETSID)
}
