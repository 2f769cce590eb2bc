//go:build !plain

// Package mainstack gives the main goroutine the stack that a command needs, at
// the start of the program and in one step. Else it grows three times, each time
// deeper in calls: what the runtime looks up about each function on the stack
// lies far apart, and that is a fifth of the program's pages in memory.
//
// It is initialised before nearly all other packages: they are initialised in the
// order of their paths as soon as their imports are, and this one imports nothing.
//
// Source: Go specification, "Program initialization".
package mainstack

// size makes the stack 16 KiB: the next power of two above this frame and what
// lies below it.
const size = 9 << 10

var _ = frame(false)

// frame needs a stack for room, and touches it only when asked to.
//
//go:noinline
func frame(touch bool) byte {
	if !touch {
		return 0
	}
	var room [size]byte
	return last(&room)
}

//go:noinline
func last(room *[size]byte) byte { return room[size-1] }
