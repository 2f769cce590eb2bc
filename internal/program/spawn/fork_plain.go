//go:build !(amd64 || arm64) || plain || race

package spawn

import (
	"syscall"

	"github.com/hutch-project/hutch/internal/program"
)

// fork clones the calling thread as how says; the child runs m and never
// returns. how must not ask for CLONE_VM. Handled signals have their default
// action in the child (CLONE_CLEAR_SIGHAND) and all are blocked there.
//
//go:nosplit
//go:norace
func fork(how *cloning, m *program.Machine) (pid uintptr, errno syscall.Errno) {
	runtimeBeforeFork()
	pid, errno = makeChild(how)
	if errno == 0 && pid == 0 {
		program.Interpret(m)
	}
	runtimeAfterFork()
	return pid, errno
}
