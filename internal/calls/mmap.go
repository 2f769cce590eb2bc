//go:build !arm

package calls

import "golang.org/x/sys/unix"

// Mmap is the number of mmap(2).
const Mmap = unix.SYS_MMAP
