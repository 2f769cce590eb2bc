package verify

import "golang.org/x/sys/unix"

// sysMmap is never called here: EmitLink refuses 32-bit architectures.
const sysMmap = unix.SYS_MMAP2
