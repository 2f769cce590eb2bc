package spawn

import (
	"golang.org/x/sys/unix"

	_ "unsafe" // for go:linkname
)

const sysClone3 = unix.SYS_CLONE3

// The runtime's hooks around a fork: they block all signals of the calling
// thread and poison its stack guard, as the standard library's own fork has it.
// gVisor holds the same links, which is why Go keeps them.

//go:linkname runtimeBeforeFork syscall.runtime_BeforeFork
func runtimeBeforeFork()

//go:linkname runtimeAfterFork syscall.runtime_AfterFork
func runtimeAfterFork()

// cloneArgs is struct clone_args of clone3(2), up to and with cgroup.
type cloneArgs struct {
	flags, pidfd, childTid, parentTid, exitSignal, stack, stackSize, tls, setTid, setTidSize, cgroup uint64
}
