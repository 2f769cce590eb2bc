package probe

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// seccompKnows reports whether seccomp(2) takes an operation and its flags, to the point
// where it looks at what is at p.
func seccompKnows(op, flags uint, p *uint32) bool {
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, uintptr(op), uintptr(flags), uintptr(unsafe.Pointer(p)))
	return errno == 0 || errno == unix.EFAULT
}
