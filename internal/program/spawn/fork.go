package spawn

import _ "unsafe" // for go:linkname

// The runtime's hooks around a fork: they block all signals of the calling
// thread and poison its stack guard, as the standard library's own fork has it.
// gVisor holds the same links, which is why Go keeps them.

//go:linkname runtimeBeforeFork syscall.runtime_BeforeFork
func runtimeBeforeFork()

//go:linkname runtimeAfterFork syscall.runtime_AfterFork
func runtimeAfterFork()
