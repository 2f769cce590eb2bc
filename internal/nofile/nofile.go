// Package nofile remembers the limit of open files that the process was started
// with. Go's syscall package raises the soft limit in its own initialisation;
// the container's process gets the former one back.
//
// It must be initialised before package syscall, and is: packages are
// initialised in the order of their paths as soon as their imports are, and this
// one imports nothing. So it calls syscall's function by a link, not an import.
//
// Source: Go specification, "Program initialization"; getrlimit(2).
package nofile

import "unsafe"

//go:linkname rawSyscall6 syscall.RawSyscall6
func rawSyscall6(trap, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2, err uintptr)

const rlimitNofile = 7

type rlimit struct{ soft, hard uint64 }

var inherited = get()

func get() (l rlimit) {
	rawSyscall6(sysPrlimit64, 0, rlimitNofile, 0, uintptr(unsafe.Pointer(&l)), 0, 0)
	return l
}

// Inherited returns the soft and the hard limit that the process was started with.
func Inherited() (soft, hard uint64) { return inherited.soft, inherited.hard }
