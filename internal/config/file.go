package config

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/kernelfs"
	"github.com/hutch-project/hutch/internal/sys"
)

// maxSize bounds the size of a configuration, in bytes. Real ones have up to
// some hundred thousand.
const maxSize = 16 << 20

// ReadFile returns the bytes of the file at path, which may have as many as a
// configuration. The path may be one of the caller's own descriptors, /dev/stdin or
// /dev/fd/N: then it may be a pipe, a socket or a terminal too, whose end is waited
// for.
//
// All else has to be a regular file, and not one of procfs or the like: a named
// pipe may wait for ever, a device does something when it is opened, and a file as
// /proc/kmsg gives what is nobody's configuration.
func ReadFile(path string) ([]byte, error) {
	fd := descriptor(path)
	if fd < 0 {
		return read(path)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT == unix.S_IFREG {
		return read(path) // from its begin
	}
	return readAll(fd, path, 0, waitForever)
}

// ReadStdin returns the bytes of standard input as ReadFile does, from where it is.
func ReadStdin() ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Fstat(0, &st); err != nil {
		return nil, &fs.PathError{Op: "read", Path: "standard input", Err: err}
	}
	if st.Mode&unix.S_IFMT == unix.S_IFREG {
		if err := ordinary(0, &st); err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
	}
	return readAll(0, "standard input", 0, waitForever)
}

// descriptor returns the number of the caller's own descriptor that path stands for, -1
// for none.
func descriptor(path string) int {
	if path == "/dev/stdin" {
		return 0
	}
	for _, dir := range [...]string{"/dev/fd/", "/proc/self/fd/"} {
		if text, ok := strings.CutPrefix(path, dir); ok {
			if n, err := strconv.Atoi(text); err == nil && n >= 0 && strconv.Itoa(n) == text {
				return n
			}
		}
	}
	return -1
}

// read returns the bytes of the regular file, or of the pipe without a name, at
// path.
//
// It looks before it opens: what it refuses then is not opened, but for a file that
// is exchanged in between.
func read(path string) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(unix.AT_FDCWD, path, &st, 0); err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	if err := readable(&st); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	fd, err := sys.Retry1(func() (int, error) {
		return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &fs.PathError{Op: "fstat", Path: path, Err: err}
	}
	if err := readable(&st); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if err := ordinary(fd, &st); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return readAll(fd, path, st.Size, waitMS)
}

// errKind is the remedy for what is no file.
const errKind = "which may wait or have no end; give a regular file"

// readable refuses what is neither a regular file nor a pipe, and what is too large.
func readable(st *unix.Stat_t) error {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		if st.Size > maxSize {
			return errTooLarge
		}
		return nil
	case unix.S_IFIFO:
		return nil // ordinary tells the two kinds apart
	case unix.S_IFDIR:
		return unix.EISDIR
	case unix.S_IFCHR, unix.S_IFBLK:
		return errors.New("is a device, " + errKind)
	}
	return errors.New("is a socket, " + errKind)
}

// errTooLarge is the error of a file of more than maxSize bytes.
var errTooLarge = errors.New("larger than 16 MiB, which no configuration needs")

// ordinary refuses named pipes and files of those file systems in which the kernel
// makes up what is read. Such files occupy no blocks, so that the file system of
// others is not asked for.
func ordinary(fd int, st *unix.Stat_t) error {
	fifo := st.Mode&unix.S_IFMT == unix.S_IFIFO
	if !fifo && st.Blocks > 0 {
		return nil
	}
	var sf unix.Statfs_t
	if err := unix.Fstatfs(fd, &sf); err != nil {
		return fmt.Errorf("fstatfs: %w", err)
	}
	if fifo {
		if sf.Type != unix.PIPEFS_MAGIC {
			return errors.New("is a named pipe, " + errKind)
		}
		return nil
	}
	if kernelfs.Is(uint32(sf.Type)) {
		return errors.New("is the kernel's, of procfs, sysfs or the like; give a file that has been written")
	}
	return nil
}

// How long the writer of a pipe is waited for, at most, in milliseconds.
const (
	waitMS      = 2000
	waitForever = -1
)

// readAll reads fd to its end. size is what to expect.
func readAll(fd int, path string, size int64, wait int) ([]byte, error) {
	// One byte more than the size, so that the read that fills the buffer in
	// all but one byte is followed by one that finds the end.
	data := make([]byte, 0, min(size, maxSize)+1)
	for {
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := sys.Read(fd, data[len(data):cap(data)])
		if err == unix.EAGAIN && await(fd, wait) {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		}
		if n == 0 {
			return data, nil
		}
		if data = data[:len(data)+n]; len(data) > maxSize {
			return nil, fmt.Errorf("read %s: %w", path, errTooLarge)
		}
	}
}

// await waits for the writer of a pipe.
func await(fd, wait int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, wait)
	return n > 0 || err == unix.EINTR
}
