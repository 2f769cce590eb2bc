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

// maxAgain bounds the tries of Openat2 in a tree that is being renamed.
const maxAgain = 1000

// OpenInRoot opens a path as a process would whose root directory root is, with O_PATH: no link
// leads out of it, and none of /proc's anywhere.
func OpenInRoot(root int, path string) (int, error) {
	return Openat2(root, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
}

// Openat2 is openat2(2), made again when a signal interrupts it, and when something has been
// renamed or mounted while a ".." was resolved.
//
// Source: openat2(2), "EAGAIN".
func Openat2(dir int, path string, how *unix.OpenHow) (int, error) {
	for again := 0; ; {
		fd, err := unix.Openat2(dir, path, how)
		if err == unix.EAGAIN && again < maxAgain {
			again++
		} else if err != unix.EINTR {
			return fd, err
		}
	}
}
