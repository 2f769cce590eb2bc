package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// PrctlMapSize returns the size, in bytes, of the kernel's struct prctl_mm_map. The error is
// unix.EINVAL for a kernel without it.
//
// Source: PR_SET_MM(2const), PR_SET_MM_MAP_SIZE.
func PrctlMapSize() (int, error) {
	size := new(uint32)
	err := unix.Prctl(unix.PR_SET_MM, unix.PR_SET_MM_MAP_SIZE, uintptr(unsafe.Pointer(size)), 0, 0)
	return int(*size), err
}

// FDSize returns how many descriptors the table of this process has room for now: the kernel
// doubles it when it is full. None that is open has a higher number.
//
// Source: proc_pid_status(5).
func FDSize() (int, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, after, _ := bytes.Cut(text, []byte("\nFDSize:\t"))
	line, _, _ := bytes.Cut(after, []byte("\n"))
	size, err := strconv.Atoi(string(line))
	if err != nil {
		return 0, fmt.Errorf("/proc/self/status: FDSize: %w", err)
	}
	return size, nil
}

// Aux returns the value of the entry kind of the auxiliary vector.
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
