//go:build !arm

package verify

import "golang.org/x/sys/unix"

const sysMmap = unix.SYS_MMAP
