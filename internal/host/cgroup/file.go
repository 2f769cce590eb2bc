package cgroup

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// beneath opens path below the hierarchy's root dir: cgroup file systems have no
// links and nothing is mounted inside, so that what is neither is refused.
func beneath(dir int, path string, flags uint64) (int, error) {
	for {
		fd, err := unix.Openat2(dir, path, &unix.OpenHow{
			Flags:   flags | unix.O_CLOEXEC,
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
		})
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}

// readFile reads a whole file. The error names the path, from dir.
func readFile(dir int, path string) (string, error) {
	fd, err := unix.Openat(dir, path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	text, err := readAll(fd)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return text, nil
}

// readLine reads a file of one line, or of the few that the kernel makes in one
// piece, without asking for the end.
func readLine(dir int, path string) (string, error) {
	fd, err := unix.Openat(dir, path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	var buf [512]byte
	for {
		n, err := unix.Read(fd, buf[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("read %s: %w", path, err)
		}
		return string(buf[:n]), nil
	}
}

func readAll(fd int) (string, error) {
	buf := make([]byte, 0, 1024)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := unix.Read(fd, buf[len(buf):cap(buf)])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return "", err
		case n == 0:
			return string(buf), nil
		default:
			buf = buf[:len(buf)+n]
		}
	}
}

// writeFile writes text to a file that exists, in one call.
func writeFile(dir int, path, text string) error {
	w, err := openWriter(dir, path)
	if err != nil {
		return err
	}
	defer w.close()
	return w.write(text)
}

// writer is a file that takes one value a write.
type writer struct {
	fd   int
	path string // for errors
}

// openWriter opens a file that exists. The error names the path, from dir.
func openWriter(dir int, path string) (*writer, error) {
	fd, err := unix.Openat(dir, path, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &writer{fd, path}, nil
}

// write writes text in one call.
func (w *writer) write(text string) error {
	for {
		_, err := unix.Write(w.fd, []byte(text))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("write %q to %s: %w", text, w.path, err)
		}
		return nil
	}
}

// close closes the file. w may be nil.
func (w *writer) close() {
	if w != nil {
		unix.Close(w.fd)
	}
}

// isPermission says that the kernel lacked nothing but the right.
func isPermission(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
}

// gone says that err is that of a cgroup that is, or is being, removed.
func gone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV)
}
