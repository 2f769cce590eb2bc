// Package sys is the lowest floor: descriptors that are closed once, calls that are made
// again when a signal has interrupted them, whole files below a directory, waits with an
// end, and descriptors that are passed over a socket.
//
// It decides nothing: which file, how long and what a failure means is the caller's. It
// is not for the child, which has no memory to allocate; see internal/program.
package sys

import "golang.org/x/sys/unix"

// FD owns a descriptor, or none: the zero value owns none. It must not be copied once it
// owns one; a copy would close the number again, when it may be another file's.
type FD struct {
	plus1 int // the number and 1, so that the zero value is not standard input
}

// Own returns an FD that owns the descriptor fd, or none where fd is negative.
func Own(fd int) FD {
	if fd < 0 {
		return FD{}
	}
	return FD{fd + 1}
}

// Int returns the descriptor's number, -1 when there is none. f goes on owning it.
func (f *FD) Int() int { return f.plus1 - 1 }

// Valid reports whether f owns a descriptor.
func (f *FD) Valid() bool { return f.plus1 > 0 }

// Release returns the number, -1 when there is none, and owns it no longer.
func (f *FD) Release() int {
	fd := f.Int()
	f.plus1 = 0
	return fd
}

// Close closes the descriptor; where there is none it does nothing. An interrupted close
// has closed it.
//
// Source: close(2), "Dealing with error returns from close()".
func (f *FD) Close() error {
	if !f.Valid() {
		return nil
	}
	if err := unix.Close(f.Release()); err != nil && err != unix.EINTR {
		return err
	}
	return nil
}
