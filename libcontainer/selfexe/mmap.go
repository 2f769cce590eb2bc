//go:build !arm

package selfexe

import "golang.org/x/sys/unix"

const sysMmap = unix.SYS_MMAP
