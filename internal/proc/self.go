package proc

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Arguments is the memory of this process's arguments, from the first byte to
// behind the last NUL, where the kernel has put them. When os.Args was changed,
// the range is of what is left of them, and is never outside of one argument's
// memory.
//
// Source: the Go runtime makes os.Args of argv without a copy.
func Arguments() (start, end uintptr) {
	for _, a := range os.Args {
		at := uintptr(unsafe.Pointer(unsafe.StringData(a)))
		switch {
		case len(a) == 0: // has no address to be sure of
			if start == 0 {
				return 0, 0
			}
			end++
		case start == 0:
			start, end = at, at+uintptr(len(a))+1
		case at == end:
			end = at + uintptr(len(a)) + 1
		default:
			return start, end
		}
	}
	return start, end
}

// PrctlMapSize puts the size of struct prctl_mm_map, 4 bytes, into p.
//
// Source: PR_SET_MM(2const), PR_SET_MM_MAP_SIZE.
func PrctlMapSize(p []byte) error {
	if len(p) < 4 {
		return unix.EINVAL
	}
	return unix.Prctl(unix.PR_SET_MM, unix.PR_SET_MM_MAP_SIZE, uintptr(unsafe.Pointer(&p[0])), 0, 0)
}
