//go:build !(amd64 || arm64) || plain || race

package spawn

import (
	"syscall"
	"unsafe"

	"github.com/hutch-project/hutch/internal/program"
)

// fork clones the calling thread as args says; the child runs m and never
// returns. args must not ask for CLONE_VM. Handled signals have their default
// action in the child (CLONE_CLEAR_SIGHAND) and all are blocked there.
//
//go:nosplit
//go:norace
func fork(args *cloneArgs, m *program.Machine) (pid uintptr, errno syscall.Errno) {
	runtimeBeforeFork()
	pid, _, errno = syscall.RawSyscall6(sysClone3, uintptr(unsafe.Pointer(args)), unsafe.Sizeof(*args), 0, 0, 0, 0)
	if errno == 0 && pid == 0 {
		program.Interpret(m)
	}
	runtimeAfterFork()
	return pid, errno
}
