//go:build !amd64

package program

import (
	"syscall"
	"unsafe"
)

// fork clones the calling thread as args says; the child runs m and never
// returns. args must not ask for CLONE_VM. Handled signals have their default
// action in the child (CLONE_CLEAR_SIGHAND) and all are blocked there.
//
//go:nosplit
//go:norace
func fork(args *cloneArgs, m *machine) (pid uintptr, errno syscall.Errno) {
	runtimeBeforeFork()
	pid, _, errno = syscall.RawSyscall6(sysClone3, uintptr(unsafe.Pointer(args)), unsafe.Sizeof(*args), 0, 0, 0, 0)
	if errno == 0 && pid == 0 {
		// Else the child would keep its own socket open, and wait forever
		// for a parent that has died.
		syscall.RawSyscall6(syscall.SYS_CLOSE, m.peer, 0, 0, 0, 0, 0)
		interpret(m)
	}
	runtimeAfterFork()
	return pid, errno
}
