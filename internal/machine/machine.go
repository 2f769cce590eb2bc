// Package machine has what differs by architecture in the kernel's interface, where neither
// Go's packages nor golang.org/x/sys say it.
//
// The numbers of calls are in packages nofile, id32 and calls.
package machine

import (
	"encoding/binary"
	"runtime"
)

// BigEndian reports whether a number's first byte is its highest.
func BigEndian() bool { return binary.NativeEndian.Uint16([]byte{0, 1}) == 1 }

// StackFirst is true where clone(2) takes the stack before the flags.
//
// Source: clone(2), "C library/kernel differences".
const StackFirst = runtime.GOARCH == "s390x"

// CloneArgs returns the first two arguments of clone(2), in the order of this architecture.
func CloneArgs(flags, stack uint64) (first, second uint64) {
	if StackFirst {
		return stack, flags
	}
	return flags, stack
}

// StatfsFlags returns where in struct statfs the lowest 32 bits of the mount's flags are.
//
// Source: Linux include/uapi/asm-generic/statfs.h, arch/s390/include/uapi/asm/statfs.h.
func StatfsFlags() (off uint32) {
	switch {
	case ^uintptr(0)>>32 == 0:
		return 44
	case runtime.GOARCH == "s390x": // of 32 bits
		return 64
	case BigEndian():
		return 80 + 4
	}
	return 80
}
