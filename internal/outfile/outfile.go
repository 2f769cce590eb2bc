// Package outfile opens files that the caller names for output, as the log, in directories
// that may be another user's: engines put them into bundles. A symbolic link there must not
// have the runtime write somewhere else.
//
// Source: symlink(7); proc(5), /proc/sys/fs/protected_symlinks, which is for directories
// that everybody may write alone.
package outfile

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
	"github.com/hutch-project/hutch/internal/trust"
)

const (
	maxLinks = 40  // on the way, as in the kernel
	tries    = 100 // of names for a new file
)

// Open opens a file as open(2) does, but follows only symbolic links of the caller or
// root in directories of theirs, and those of procfs: /dev/stderr is one. A file that is to be
// written has no other name, where others may have given it this one. A fifo has to be
// theirs too: whoever reads it could keep the caller waiting, and who does not as well.
func Open(path string, flags int, mode uint32) (int, error) {
	if flags&(unix.O_PATH|unix.O_DIRECTORY) != 0 {
		return open(path, flags, mode)
	}
	fd, err := open(path, flags|unix.O_NONBLOCK|unix.O_NOCTTY, mode)
	unread := errors.Is(err, unix.ENXIO) // a fifo without a reader
	if err != nil && !unread {
		return -1, err
	}
	if unread || named(fd) {
		if !ours(path) {
			unix.Close(fd)
			return -1, &os.PathError{Op: "open", Path: path, Err: errFifo}
		}
		if unread {
			return open(path, flags, mode)
		}
	}
	return fd, unix.SetNonblock(fd, false)
}

var errFifo = errors.New("is a fifo, or a socket, that another user may have put there; name a file")

// named reports whether the file is a fifo that has a name: one without was handed over.
func named(fd int) bool {
	var st unix.Stat_t
	var fs unix.Statfs_t
	return unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO && unix.Fstatfs(fd, &fs) == nil && fs.Type != unix.PIPEFS_MAGIC
}

// ours reports whether the file and its directory are the caller's or root's.
func ours(path string) bool {
	dir, base, err := directory(path)
	if err != nil {
		return false
	}
	defer unix.Close(dir)
	var st unix.Stat_t
	return unix.Fstatat(dir, base, &st, 0) == nil && trusted(dir, st.Uid)
}

func open(path string, flags int, mode uint32) (int, error) {
	flags |= unix.O_CLOEXEC
	how := unix.OpenHow{Flags: uint64(flags), Resolve: unix.RESOLVE_NO_SYMLINKS}
	if flags&unix.O_CREAT != 0 {
		how.Mode = uint64(mode)
	}
	fd, err := sys.Openat2(unix.AT_FDCWD, path, &how)
	if err == nil && flags&writes != 0 {
		var dir int
		var base string
		if dir, base, err = directory(path); err == nil {
			err = alone(dir, base, fd)
			unix.Close(dir)
		}
		if err != nil {
			unix.Close(fd)
		}
	}
	if err == unix.ELOOP { // this costs a call for each component
		fd, err = walk(path, flags, mode)
	}
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// writes are the flags of an open file that may be written.
const writes = unix.O_WRONLY | unix.O_RDWR

var errLinked = errors.New("has other names, or was exchanged, in a directory that others may write: another user may have linked it there; remove it, or name another file")

// alone returns an error unless the file fd, which was opened as name in dir, is known by that
// name alone, where somebody else may have made the name: a link to a file of the caller's. Both
// are asked at once, so that the name cannot be taken away between.
//
// Source: proc(5), /proc/sys/fs/protected_hardlinks, which may be off.
func alone(dir int, name string, fd int) error {
	var in, st, at unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return err
	}
	if unix.Fstat(dir, &in) == nil && trusted(dir, in.Uid) && in.Mode&0o022 == 0 {
		return nil
	}
	if err := unix.Fstatat(dir, name, &at, unix.AT_SYMLINK_NOFOLLOW); err != nil || at.Dev != st.Dev || at.Ino != st.Ino || at.Nlink != 1 {
		return errLinked
	}
	return nil
}

// Replace writes data to a new file that takes the place of path, of a symbolic link as
// well. What is no regular file, as a fifo or /dev/stdout, stays, and is written to.
func Replace(path string, data []byte) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		fd, err := Open(path, unix.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return write(fd, path, data)
	}
	return Renew(path, data)
}

// Renew writes data to a new file that takes the place of whatever is at path, all at once.
// Its directory is come to as Open comes to a file.
func Renew(path string, data []byte) error {
	dir, base, err := directory(path)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	fd, name, err := beside(dir, base)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	err = write(fd, path, data)
	if err == nil {
		if err = unix.Renameat(dir, name, dir, base); err != nil {
			err = &os.PathError{Op: "rename", Path: path, Err: err}
		}
	}
	if err != nil {
		_ = unix.Unlinkat(dir, name, 0)
	}
	return err
}

// Make makes the file path, where there is none, and returns an error where Replace could
// write none. A symbolic link is left to Replace.
func Make(path string) error {
	dir, base, err := directory(path)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	fd, err := sys.Open(dir, base, unix.O_WRONLY|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0o644)
	if err == unix.ELOOP || err == unix.ENXIO {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	return unix.Close(fd)
}

// Remove removes the file path. Its directory is come to as Open comes to a file.
func Remove(path string) error {
	dir, base, err := directory(path)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	if err := unix.Unlinkat(dir, base, 0); err != nil {
		return &os.PathError{Op: "remove", Path: path, Err: err}
	}
	return nil
}

// MakeDir opens the directory path, which it makes, with those above, where it is missing: for
// its owner alone. It is come to as Open comes to a file.
func MakeDir(path string, flags int) (int, error) {
	fd, err := Open(path, flags|unix.O_DIRECTORY, 0)
	if !errors.Is(err, unix.ENOENT) {
		return fd, err
	}
	above, err := MakeDir(filepath.Dir(path), unix.O_PATH)
	if err != nil {
		return -1, err
	}
	defer unix.Close(above)
	name := filepath.Base(path)
	if err := unix.Mkdirat(above, name, 0o700); err != nil && err != unix.EEXIST {
		return -1, &os.PathError{Op: "mkdir", Path: path, Err: err}
	}
	if fd, err = sys.Open(above, name, flags|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0); err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// directory opens the directory of path.
func directory(path string) (fd int, base string, err error) {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	if fd, err = Open(dir, unix.O_PATH|unix.O_DIRECTORY, 0); err != nil {
		var of *os.PathError
		errors.As(err, &of)
		of.Path = path
	}
	return fd, base, err
}

// write writes all of data, and closes the file.
func write(fd int, path string, data []byte) (err error) {
	for n := 0; len(data) > 0 && err == nil; data = data[n:] {
		if n, err = sys.Write(fd, data); err != nil {
			n = 0
		}
	}
	if closeErr := unix.Close(fd); err == nil && closeErr != unix.EINTR {
		err = closeErr
	}
	if err != nil {
		return &os.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// beside makes a new file in the directory dir, for base, and returns its name. Who may
// write to the directory can take some names, and cannot know them all.
func beside(dir int, base string) (fd int, name string, err error) {
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_CLOEXEC | unix.O_NOFOLLOW
	for range tries {
		name = "." + base + "." + strconv.FormatUint(rand.Uint64(), 36)
		fd, err = sys.Open(dir, name, flags, 0o644)
		if err != unix.EEXIST {
			break
		}
	}
	return fd, name, err
}

// walk opens path component by component.
func walk(path string, flags int, mode uint32) (int, error) {
	dir, err := start(path)
	if err != nil {
		return -1, err
	}
	defer func() { unix.Close(dir) }()
	parts := strings.Split(path, "/")
	for links := 0; len(parts) > 0; {
		name, rest := parts[0], parts[1:]
		if name == "" {
			name = "."
		}
		how, perm := unix.O_PATH|unix.O_CLOEXEC, uint32(0)
		if len(rest) == 0 {
			how, perm = flags, mode
		}
		to := ""
		if len(rest) > 0 || flags&unix.O_EXCL == 0 { // a file that is new is behind no link
			if to, err = link(dir, name); err != nil {
				return -1, err
			}
		}
		if to == "" || inProc(dir) { // procfs leads by no path
			if to == "" {
				how |= unix.O_NOFOLLOW
			}
			fd, err := sys.Open(dir, name, how, perm)
			if err == nil && len(rest) == 0 && to == "" && flags&writes != 0 {
				if err = alone(dir, name, fd); err != nil {
					unix.Close(fd)
				}
			}
			if err != nil || len(rest) == 0 {
				return fd, err
			}
			unix.Close(dir)
			dir, parts = fd, rest
			continue
		}
		if links++; links > maxLinks {
			return -1, unix.ELOOP
		}
		if strings.HasPrefix(to, "/") {
			unix.Close(dir)
			if dir, err = start(to); err != nil {
				return -1, err
			}
		}
		parts = append(strings.Split(to, "/"), rest...)
	}
	return -1, unix.EISDIR
}

// start opens the directory that path begins at.
func start(path string) (int, error) {
	at := "."
	if strings.HasPrefix(path, "/") {
		at = "/"
	}
	return sys.Open(unix.AT_FDCWD, at, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// link returns where the symbolic link name leads, and nothing for another file, or none. One
// of another user is an error.
func link(dir int, name string) (string, error) {
	fd, err := sys.Open(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return "", err
	}
	if !trusted(dir, st.Uid) && !inProc(dir) {
		return "", fmt.Errorf("%w: %s is a symbolic link that another user may have made; name the file that is meant", unix.ELOOP, strconv.Quote(name))
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	return string(buf[:max(n, 0)]), err
}

// trusted reports whether a link of the user uid in dir is followed: it and the directory
// are the caller's or root's. Root may have made one in another user's directory, who can
// then move it about.
func trusted(dir int, uid uint32) bool {
	var st unix.Stat_t
	if trust.Fstat(dir, &st) != nil {
		return false
	}
	everybody := st.Mode&unix.S_IWOTH != 0
	return trust.Known(uid, everybody) && trust.Known(st.Uid, everybody)
}

func inProc(dir int) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(dir, &st) == nil && st.Type == unix.PROC_SUPER_MAGIC
}
