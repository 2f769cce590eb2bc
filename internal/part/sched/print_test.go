package sched

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// print is what a child of a test prints of itself.
func print(what string) {
	switch what {
	case "sched":
		runtime.LockOSThread()
		a, err := unix.SchedGetAttr(0, 0)
		io, _, _ := unix.RawSyscall(unix.SYS_IOPRIO_GET, 1, 0, 0)
		fmt.Print(a.Policy, a.Nice, a.Priority, a.Flags, err, " ", io)
	case "mempolicy":
		var mode int32
		mask := make([]byte, nodes/8)
		_, _, e := unix.RawSyscall6(unix.SYS_GET_MEMPOLICY, uintptr(unsafe.Pointer(&mode)), uintptr(unsafe.Pointer(&mask[0])), nodes+1, 0, 0, 0)
		fmt.Printf("%#x %x %d", mode, mask[0], e)
	default:
		fmt.Fprintln(os.Stderr, "what is", what)
		os.Exit(1)
	}
}
