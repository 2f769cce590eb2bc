// Package inherited looks at the descriptors that this program was started with, from
// 3 on: those are not close-on-exec, and all that a Go program opens is.
package inherited

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
)

// First is the first descriptor behind the standard ones.
const First = 3

// Is reports whether the descriptor fd was handed to this program.
func Is(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil && flags&unix.FD_CLOEXEC == 0
}

// Last returns the highest of the first n descriptors from First on that was handed to
// this program, First-1 when there is none.
func Last(n int) (int, error) {
	const few = 64 // asking for each is less than reading the list
	if n <= few {
		for fd := First + n - 1; fd >= First; fd-- {
			if Is(fd) {
				return fd, nil
			}
		}
		return First - 1, nil
	}
	open, err := opened()
	last := First - 1
	for _, fd := range open {
		if fd > last && fd-First < n && Is(fd) {
			last = fd
		}
	}
	return last, err
}

// Plug fills each number below the last of the first n descriptors that were handed
// over, and is not open, so that nothing that is opened from now on stands among
// those: who hands them on, by their number alone, hands on nothing else. What fills
// them leads nowhere.
//
// Source: eventfd(2); fcntl(2), F_DUPFD_CLOEXEC.
func Plug(n int) error {
	last, err := Last(n)
	if err != nil {
		return err
	}
	plug := -1
	for fd := First; fd < last; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			continue
		}
		if plug < 0 {
			plug, err = unix.Eventfd(0, unix.EFD_CLOEXEC) // takes the first hole
		} else {
			_, err = unix.FcntlInt(uintptr(plug), unix.F_DUPFD_CLOEXEC, fd)
		}
		if err != nil {
			return fmt.Errorf("fill descriptor %d: %w", fd, err)
		}
	}
	return nil
}

// opened lists the open descriptors from First on, but for that of the list itself.
func opened() ([]int, error) {
	fd, err := unix.Open("/proc/self/fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/proc/self/fd", Err: err}
	}
	defer unix.Close(fd)
	var out []int
	var buf [4096]byte
	err = sys.ReadNames(fd, buf[:], func(name string) {
		if n, err := strconv.Atoi(name); err == nil && n >= First && n != fd {
			out = append(out, n)
		}
	})
	return out, err
}
