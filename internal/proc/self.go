package proc

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// PrctlMapSize is the size of the kernel's struct prctl_mm_map. The error is
// unix.EINVAL for a kernel without it.
//
// Source: PR_SET_MM(2const), PR_SET_MM_MAP_SIZE.
func PrctlMapSize() (int, error) {
	size := new(uint32)
	err := unix.Prctl(unix.PR_SET_MM, unix.PR_SET_MM_MAP_SIZE, uintptr(unsafe.Pointer(size)), 0, 0)
	return int(*size), err
}

// Aux is the value of the entry kind of the auxiliary vector.
//
// Source: getauxval(3).
func Aux(kind uintptr) (value uintptr, ok bool) {
	aux, err := unix.Auxv()
	if err != nil {
		return 0, false
	}
	for _, a := range aux {
		if a[0] == kind {
			return a[1], true
		}
	}
	return 0, false
}
