package calls

import "golang.org/x/sys/unix"

// Mmap is the number of mmap2(2), which takes its offset in pages. It is never called:
// selfexe.EmitLink refuses 32-bit architectures.
const Mmap = unix.SYS_MMAP2
