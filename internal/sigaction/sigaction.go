// Package sigaction asks the kernel for a signal's disposition, and sets it, past the handlers
// of os/signal. It knows which signals there are.
package sigaction

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Last is the highest signal of Linux on the architectures that Go has, but for mips.
//
// Source: signal(7), "Real-time signals".
const Last = 64

// OfCLibrary reports whether s is one of those that C libraries keep for themselves. os/signal
// leaves them alone: it neither catches nor ignores them.
//
// Source: signal(7), "Real-time signals"; Go runtime/sigtab_linux_generic.go.
func OfCLibrary(s unix.Signal) bool { return s >= 32 && s <= 34 }

// EndsPrograms reports whether s is one by which people and service managers ask any program
// for its end.
//
// Source: signal(7), "Standard signals".
func EndsPrograms(s unix.Signal) bool {
	switch s {
	case unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM:
		return true
	}
	return false
}

// Size is large enough for the kernel's struct sigaction of each architecture.
// All zero it stands for the default action. It begins with the handler, but for mips.
const Size = 64

// SetSize is the size of the kernel's sigset_t in bytes.
const SetSize = Last / 8

// SetIgnored has the process ignore s, or gives it its default effect, past os/signal.
//
// Source: rt_sigaction(2).
func SetIgnored(s unix.Signal, yes bool) {
	var a [Size / 8]uint64
	if yes {
		*(*uintptr)(unsafe.Pointer(&a)) = 1
	}
	_, _, _ = syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&a)), 0, SetSize, 0, 0)
}

// Ignored reports whether the process ignores the signal s.
//
// Source: rt_sigaction(2).
func Ignored(s unix.Signal) bool {
	const ignore = 1
	var a [Size / 8]uint64
	_, _, e := syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), 0, uintptr(unsafe.Pointer(&a)), SetSize, 0, 0)
	return e == 0 && *(*uintptr)(unsafe.Pointer(&a)) == ignore
}
