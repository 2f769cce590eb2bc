// Package cgroupfs opens, reads, writes and walks the files of cgroup file systems.
// Which file, which value and what a failure means is the caller's: this package knows
// what is common to all of them, that each write is one command, that a cgroup may go
// at any time, and that nobody is led out of it by a link.
//
// Source: cgroups(7); kernel admin-guide/cgroup-v2.rst and cgroup-v1/.
package cgroupfs

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
)

// Root is where hosts mount their cgroup hierarchies.
const Root = "/sys/fs/cgroup"

// ErrNoController is returned when something needs a controller that the host, or the
// cgroup above the container's, does not offer.
var ErrNoController = errors.New("cgroup controller is not available")

// maxFile bounds what is read of one file: all the pids that a kernel has take 32 MiB.
const maxFile = 64 << 20

// Beneath opens path below the hierarchy's root dir: cgroup file systems have no links
// and nothing is mounted inside, so that what is neither is refused.
func Beneath(dir int, path string, flags uint64) (int, error) {
	how := &unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	}
	return sys.Openat2(dir, path, how)
}

// ReadFile returns the content of a whole file. The error names the path, from dir.
func ReadFile(dir int, path string) (string, error) {
	fd, err := open(dir, path, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	text, err := sys.ReadAll(fd, make([]byte, 0, 1024), maxFile)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return string(text), nil
}

// ReadLine reads a file of one line, or of the few that the kernel makes in one piece,
// without asking for the end.
func ReadLine(dir int, path string) (string, error) {
	fd, err := open(dir, path, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var buf [512]byte
	n, err := sys.Read(fd, buf[:])
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return string(buf[:n]), nil
}

// WriteFile writes text to a file that exists, in one call.
func WriteFile(dir int, path, text string) error {
	f, err := OpenFile(dir, path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Write(text)
}

// File is a file that takes one value a write.
type File struct {
	fd   sys.FD
	path string // for errors
}

// OpenFile opens a file that exists for writing. The error names the path, from dir.
func OpenFile(dir int, path string) (*File, error) {
	fd, err := open(dir, path, unix.O_WRONLY)
	if err != nil {
		return nil, err
	}
	return &File{sys.Own(fd), path}, nil
}

// Write writes text in one call.
func (f *File) Write(text string) error {
	if err := sys.WriteOnce(f.fd.Int(), text); err != nil {
		return fmt.Errorf("write %q to %s: %w", text, f.path, err)
	}
	return nil
}

// Close closes the file. f may be nil.
func (f *File) Close() {
	if f != nil {
		_ = f.fd.Close() // the kernel has answered each write already
	}
}

// open opens a file, whose last component is no link.
func open(dir int, path string, flags int) (int, error) {
	fd, err := sys.Open(dir, path, flags|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", path, err)
	}
	return fd, nil
}

// Exists reports whether there is a directory or file of the name, and it can be seen.
func Exists(path string) bool {
	var st unix.Stat_t
	return unix.Fstatat(unix.AT_FDCWD, path, &st, unix.AT_SYMLINK_NOFOLLOW) == nil
}

// Inode returns the number of a directory, which its hierarchy gives to no other one.
func Inode(dir int, path string) (uint64, error) {
	var st unix.Stat_t
	err := unix.Fstatat(dir, path, &st, unix.AT_SYMLINK_NOFOLLOW)
	return st.Ino, err
}

// IsPermission reports whether the kernel lacked nothing but the right.
func IsPermission(err error) bool { return errors.Is(err, fs.ErrPermission) }

// IsGone reports whether err is that of a cgroup that is, or is being, removed.
func IsGone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV)
}
