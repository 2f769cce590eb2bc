package sys

import "golang.org/x/sys/unix"

// ReadNames calls visit with the name of each entry of the directory fd, from its position
// on, but for "." and "..". buf holds what one call returns of them.
//
// Source: getdents(2).
func ReadNames(fd int, buf []byte, visit func(name string)) error {
	var names []string
	for {
		n, err := unix.ReadDirent(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names[:0])
		for _, name := range names {
			visit(name)
		}
	}
}
