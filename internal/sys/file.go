package sys

import (
	"io"
	"io/fs"

	"golang.org/x/sys/unix"
)

// ReadAll appends what fd holds from its position to the end to buf, and returns it. More
// than limit bytes are the error ErrTooLarge.
func ReadAll(fd int, buf []byte, limit int) ([]byte, error) {
	start := len(buf)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := Read(fd, buf[len(buf):cap(buf)])
		if err != nil {
			return buf, err
		}
		if n == 0 {
			return buf, nil
		}
		if buf = buf[:len(buf)+n]; len(buf)-start > limit {
			return buf[:start+limit], ErrTooLarge
		}
	}
}

// ErrTooLarge is returned by ReadAll and ReadFile for a file of more bytes than the limit.
var ErrTooLarge error = tooLarge{}

type tooLarge struct{}

func (tooLarge) Error() string { return "the file is too large" }

// ReadFile appends the file path, below dir or AT_FDCWD, to buf, and returns it. Its
// errors are of type *fs.PathError.
func ReadFile(dir int, path string, buf []byte, limit int) ([]byte, error) {
	fd, err := Open(dir, path, unix.O_RDONLY, 0)
	if err != nil {
		return buf, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	buf, err = ReadAll(fd, buf, limit)
	if err != nil {
		return buf, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	return buf, nil
}

// WriteFile writes text to the existing file path, below dir or AT_FDCWD, in one write(2),
// as files of the kernel want it. Its errors are of type *fs.PathError.
//
// Source: proc(5), cgroups(7): each write is one command.
func WriteFile(dir int, path, text string) error {
	fd, err := Open(dir, path, unix.O_WRONLY, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	if err := WriteOnce(fd, text); err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// WriteOnce writes text in one write(2); what has not been taken whole is the error
// io.ErrShortWrite.
func WriteOnce(fd int, text string) error {
	n, err := Write(fd, []byte(text))
	if err == nil && n != len(text) {
		return io.ErrShortWrite
	}
	return err
}

// IsFile reports whether the descriptor is of the file, or the directory, at path.
func IsFile(fd int, path string) bool {
	var a, b unix.Stat_t
	return unix.Fstat(fd, &a) == nil && unix.Stat(path, &b) == nil && a.Dev == b.Dev && a.Ino == b.Ino
}
