// Package sigaction asks the kernel for a signal's disposition, past the
// handlers of os/signal.
package sigaction

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Size is large enough for the kernel's struct sigaction of each architecture.
// All zero it stands for the default action. It begins with the handler.
const Size = 64

// SetSize is the size of the kernel's sigset_t in bytes.
const SetSize = 8

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
