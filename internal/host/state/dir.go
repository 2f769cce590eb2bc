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
	takenName  = "state.json.taken" // the record of a container that is taken away, see Take
)

// Dir is the directory of one container. Its methods are not for use by several
// goroutines at once.
type Dir struct {
	id     string
	path   string // for errors
	fd     int
	st     unix.Stat_t
	stale  bool // st is to be read again before the next look at the record
	locked bool
	first  bool // the next record is to be the directory's first
	taken  bool // the record was found under takenName
}

// Fd returns the directory's descriptor, which stays the Dir's.
func (d *Dir) Fd() int { return d.fd }

// Path returns the directory's path, made of the root's.
func (d *Dir) Path() string { return d.path }

// Close gives up the lock and closes the descriptor.
func (d *Dir) Close() {
	d.Unlock()
	if d.fd >= 0 {
		unix.Close(d.fd)
		d.fd = -1
	}
}

// Remove removes what this package has made and the directory itself, and reports
// whether it was this call that did so: of several commands that take the same
// container back, one is told, and has to do what is to be done once. What is gone
// already is no error; what is foreign stays and is named in the error.
func (d *Dir) Remove() (removed bool, err error) {
	// The record goes last: a remove that is cut short can be done again.
	names := [...]string{goName, resultName, recordName + tempSuffix, recordName, takenName}
	if d.taken {
		return d.remove(names[:]...)
	}
	return d.remove(names[:4]...)
}

func (d *Dir) remove(names ...string) (removed bool, err error) {
	if !d.Current() {
		return false, nil
	}
	for _, name := range names {
		if err := unix.Unlinkat(d.fd, name, 0); err != nil && err != unix.ENOENT {
			return false, fmt.Errorf("unlink %s/%s: %w", d.path, name, err)
		}
	}
	switch err := unix.Unlinkat(d.fd, "../"+d.id, unix.AT_REMOVEDIR); err {
	case nil:
		return true, nil
	case unix.ENOENT:
		return false, nil
	case unix.ENOTEMPTY, unix.EEXIST:
		return false, fmt.Errorf("rmdir %s: %w: it holds what is not of a container's state; remove that by hand", d.path, err)
	default:
		return false, fmt.Errorf("rmdir %s: %w", d.path, err)
	}
}

// Current reports whether the directory is still the one at its path: false is
// that of a container that has been deleted.
func (d *Dir) Current() bool {
	there, own := d.look()
	return there && own
}

// Replaced reports whether the directory of another container is at the path, one that
// was made of the same id after this one was deleted.
func (d *Dir) Replaced() bool {
	there, own := d.look()
	return there && !own
}

// look looks at the path.
func (d *Dir) look() (there, own bool) {
	var st unix.Stat_t
	if unix.Fstatat(d.fd, "../"+d.id, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return false, false
	}
	return true, d.st.Ino == st.Ino && d.st.Dev == st.Dev
}

// write commits text as the file name, all at once.
//
// There is no fsync: the directory is on a tmpfs, and a record does not outlive
// the boot that its processes belong to.
func (d *Dir) write(name string, text []byte) error {
	temp := name + tempSuffix
	fd, err := unix.Openat(d.fd, temp, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err == unix.ENOENT { // no directory takes no file
		return errDeleted
	}
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
	place := d.replace
	if name == recordName && d.first {
		place = d.begin
	}
	switch err := place(temp, name); err {
	case nil:
		return nil
	case unix.ENOENT:
		return errDeleted
	case unix.EEXIST:
		_ = unix.Unlinkat(d.fd, temp, 0)
		return ErrExists
	default:
		return fmt.Errorf("rename %s/%s to %s: %w", d.path, temp, name, err)
	}
}

// begin puts the file temp at name, where nothing may be.
//
// Source: rename(2), RENAME_NOREPLACE.
func (d *Dir) begin(temp, name string) error {
	err := unix.Renameat2(d.fd, temp, d.fd, name, unix.RENAME_NOREPLACE)
	switch err {
	case unix.EINVAL, unix.ENOSYS, unix.EPERM: // the file system has no such rename, or a filter denies it
		if err = unix.Linkat(d.fd, temp, d.fd, name, 0); err == nil {
			err = unix.Unlinkat(d.fd, temp, 0)
		}
	}
	d.first = err != nil
	return err
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
	var st unix.Stat_t
	if err := trusted(d.st.Dev, fd, &st); err != nil {
		return nil, fmt.Errorf("%s/%s: %w", d.path, name, err)
	}
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
