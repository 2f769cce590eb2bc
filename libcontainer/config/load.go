package config

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// FileName is the name of the configuration in a bundle.
//
// Source: runtime-spec bundle.md.
const FileName = "config.json"

// maxSize bounds the size of a configuration, in bytes. Real ones have up to
// some hundred thousand.
const maxSize = 16 << 20

// Load reads and decodes the configuration name of the bundle dir. An empty dir
// is the working directory and an empty name is config.json; an absolute name
// stands for itself. It also returns the file's bytes.
//
// A file that cannot be opened gives an *fs.PathError, so that errors.Is with
// fs.ErrNotExist or an errno works. Errors of the text wrap an *Error.
func Load(dir, name string) (*specs.Spec, []byte, error) {
	if name == "" {
		name = FileName
	}
	path := name
	if dir != "" && !strings.HasPrefix(name, "/") {
		path = strings.TrimRight(dir, "/") + "/" + name
	}
	data, err := read(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		if dir == "" {
			dir = "the working directory"
		}
		return nil, nil, fmt.Errorf("%w; %s is no bundle: name the directory that has a %s with --bundle, or write one with the command spec",
			err, dir, name)
	}
	if err != nil {
		return nil, nil, err
	}
	s, err := Decode(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, data, nil
}

// readable waits a while for the writer of a pipe.
func readable(fd int) bool {
	const waitMS = 2000
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(p, waitMS)
	return n > 0 || err == unix.EINTR
}

// read returns the bytes of the file at path, which may have up to maxSize.
func read(path string) ([]byte, error) {
	fd, err := retry(func() (int, error) {
		return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &fs.PathError{Op: "fstat", Path: path, Err: err}
	}
	// One byte more than the size, so that the read that fills the buffer in
	// all but one byte is followed by one that finds the end.
	data := make([]byte, 0, min(max(st.Size, 0), maxSize)+1)
	for {
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := retry(func() (int, error) { return unix.Read(fd, data[len(data):cap(data)]) })
		if err == unix.EAGAIN && readable(fd) {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		}
		if n == 0 {
			return data, nil
		}
		if data = data[:len(data)+n]; len(data) > maxSize {
			return nil, fmt.Errorf("read %s: larger than %d MiB, which no configuration needs", path, maxSize>>20)
		}
	}
}

// retry calls f until it is not interrupted by a signal.
func retry(f func() (int, error)) (int, error) {
	for {
		if n, err := f(); err != unix.EINTR {
			return n, err
		}
	}
}
