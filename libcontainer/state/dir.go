package state

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Names of what a container's directory holds.
const (
	recordName = "state.json"
	tempSuffix = ".new" // of a file that is not committed yet
	goName     = "exec.fifo"
	resultName = "result.fifo"
)

// Dir is the directory of one container. Its methods are not for use by several
// goroutines at once.
type Dir struct {
	id     string
	path   string // for errors
	fd     int
	locked bool
}

// Fd is the directory's descriptor, which stays the Dir's.
func (d *Dir) Fd() int { return d.fd }

// Path is the directory's path, made of the root's.
func (d *Dir) Path() string { return d.path }

// Close gives up the lock and closes the descriptor.
func (d *Dir) Close() {
	d.Unlock()
	if d.fd >= 0 {
		unix.Close(d.fd)
		d.fd = -1
	}
}

// Remove removes what this package has made and the directory itself. What is
// gone already is no error; what is foreign stays and is named in the error.
func (d *Dir) Remove() error {
	if !d.current() {
		return nil
	}
	// The record goes last: a remove that is cut short can be done again.
	for _, name := range [...]string{goName, resultName, recordName + tempSuffix, recordName} {
		if err := unix.Unlinkat(d.fd, name, 0); err != nil && err != unix.ENOENT {
			return fmt.Errorf("unlink %s/%s: %w", d.path, name, err)
		}
	}
	err := unix.Unlinkat(d.fd, "../"+d.id, unix.AT_REMOVEDIR)
	if err == unix.ENOTEMPTY || err == unix.EEXIST {
		return fmt.Errorf("rmdir %s: %w: it holds what is not of a container's state; remove that by hand", d.path, err)
	}
	if err != nil && err != unix.ENOENT {
		return fmt.Errorf("rmdir %s: %w", d.path, err)
	}
	return nil
}

// current tells whether the directory is still the one at its path.
func (d *Dir) current() bool {
	var own, there unix.Stat_t
	if unix.Fstat(d.fd, &own) != nil || unix.Fstatat(d.fd, "../"+d.id, &there, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return false
	}
	return own.Ino == there.Ino && own.Dev == there.Dev
}

// write commits text as the file name, all at once.
//
// There is no fsync: the directory is on a tmpfs, and a record does not outlive
// the boot that its processes belong to.
func (d *Dir) write(name string, text []byte) error {
	temp := name + tempSuffix
	fd, err := unix.Openat(d.fd, temp, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("open %s/%s: %w", d.path, temp, err)
	}
	for p := text; len(p) > 0; {
		n, err := unix.Write(fd, p)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			unix.Close(fd)
			return fmt.Errorf("write %d bytes to %s/%s: %w", len(p), d.path, temp, err)
		}
		p = p[n:]
	}
	if err := unix.Close(fd); err != nil && err != unix.EINTR {
		return fmt.Errorf("close %s/%s: %w", d.path, temp, err)
	}
	if err := d.replace(temp, name); err != nil {
		return fmt.Errorf("rename %s/%s to %s: %w", d.path, temp, name, err)
	}
	return nil
}

// replace puts the file temp in the place of name, which may not be there yet.
//
// A rename onto a file makes ext4 write the new one to the disk at once, which
// takes a millisecond (auto_da_alloc); an exchange does not.
//
// Source: rename(2); ext4(5), "auto_da_alloc".
func (d *Dir) replace(temp, name string) error {
	err := unix.Renameat2(d.fd, temp, d.fd, name, unix.RENAME_EXCHANGE)
	if err == nil {
		// What it held is old now; a left-over is overwritten by the next write.
		_ = unix.Unlinkat(d.fd, temp, 0)
		return nil
	}
	// ENOENT: there is none yet. EINVAL: the file system has no exchange.
	return unix.Renameat(d.fd, temp, d.fd, name)
}

// maxFile bounds what is read of a file, far above any record.
const maxFile = 64 << 20

// read reads the file name; the error is bare unix.ENOENT when there is none.
func (d *Dir) read(name string) ([]byte, error) {
	fd, err := unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("open %s/%s: %w", d.path, name, err)
	}
	defer unix.Close(fd)
	buf := make([]byte, 0, 4096)
	for len(buf) < maxFile {
		n, err := unix.Read(fd, buf[len(buf):cap(buf)])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s/%s: %w", d.path, name, err)
		}
		if n == 0 {
			return buf, nil
		}
		if buf = buf[:len(buf)+n]; len(buf) == cap(buf) {
			buf = append(make([]byte, 0, 4*cap(buf)), buf...)
		}
	}
	return nil, fmt.Errorf("read %s/%s: it is larger than %d bytes", d.path, name, maxFile)
}
