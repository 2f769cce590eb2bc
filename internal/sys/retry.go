package sys

import "golang.org/x/sys/unix"

// Retry calls f until its error is not EINTR, and returns what that call returned.
//
// Source: signal(7), "Interruption of system calls and library functions by signal handlers".
func Retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

// Retry1 is Retry for a call with a result.
func Retry1[T any](f func() (T, error)) (T, error) {
	for {
		if v, err := f(); err != unix.EINTR {
			return v, err
		}
	}
}

// Read is read(2), made again when a signal interrupts it.
func Read(fd int, p []byte) (int, error) {
	for {
		if n, err := unix.Read(fd, p); err != unix.EINTR {
			return n, err
		}
	}
}

// Write is write(2), made again when a signal interrupts it.
func Write(fd int, p []byte) (int, error) {
	for {
		if n, err := unix.Write(fd, p); err != unix.EINTR {
			return n, err
		}
	}
}

// Open is openat(2), made again when a signal interrupts it. O_CLOEXEC is added.
func Open(dir int, path string, flags int, mode uint32) (int, error) {
	for {
		if fd, err := unix.Openat(dir, path, flags|unix.O_CLOEXEC, mode); err != unix.EINTR {
			return fd, err
		}
	}
}
