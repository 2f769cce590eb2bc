package process

import "github.com/hutch-project/hutch/internal/program"

// Offsets in struct statx, which is the same on all architectures.
//
// Source: statx(2).
const (
	statxSize  = 256
	statxMode  = 28
	statxMajor = 128 // of the device that a special file stands for
	statxMinor = 132
)

func fileMode(statx program.Mem) program.Mem { return program.Mem{Off: statx.Off + statxMode, Len: 2} }
