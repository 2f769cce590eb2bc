package state

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/rotree"
)

// The two fifos connect init, which waits, with a later start:
//
//	exec.fifo    start writes a byte, and init goes on
//	result.fifo  init's report of a failure; its end without one is the success
//
// Init inherits both open, so nothing in the container needs a way to them, and
// they are for the state directory's owner alone.

// CreateFifos makes the two fifos.
//
// Source: mkfifoat(3), mknod(2).
func (d *Dir) CreateFifos() error {
	for _, name := range [...]string{goName, resultName} {
		if err := unix.Mknodat(d.fd, name, unix.S_IFIFO|0o600, 0); err != nil {
			return fmt.Errorf("mkfifo %s/%s: %w", d.path, name, err)
		}
	}
	return nil
}

// OpenFifos opens init's ends, which the caller closes. Both are open for
// reading and writing: a read of goFd waits although nobody writes yet, and a
// write to resultFd neither waits nor raises SIGPIPE although nobody reads.
//
// Source: fifo(7), "Linux ... read and write".
//
// They are opened through a read-only mount, where that can be had: a process of the
// container that traces the init may take them, and must not change mode, owner and times
// of inodes of the host.
func (d *Dir) OpenFifos() (goFd, resultFd int, err error) {
	from := *d
	if tree, err := rotree.Clone(d.fd, "", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC); err == nil {
		defer unix.Close(tree)
		from.fd = tree
	} else if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EINVAL) { // without privileges, or on mounts that are locked
		return -1, -1, fmt.Errorf("open %s through a read-only mount: %w", d.path, err)
	}
	if goFd, err = from.openFifo(goName, unix.O_RDWR); err != nil {
		return -1, -1, err
	}
	if resultFd, err = from.openFifo(resultName, unix.O_RDWR); err != nil {
		unix.Close(goFd)
		return -1, -1, err
	}
	return goFd, resultFd, nil
}

// OpenResult opens start's end of result.fifo, for non-blocking reading. The
// caller closes it, and opens it before Go: then a read gives the end only after
// init has closed its own end, by execve or by its end.
func (d *Dir) OpenResult() (int, error) {
	return d.openFifo(resultName, unix.O_RDONLY|unix.O_NONBLOCK)
}

// Go lets init go on. The error is unix.ENXIO, wrapped, when nobody waits.
func (d *Dir) Go() error { return d.toInit(slices.Values([][]byte{{1}}), -1) }

// Waiting reports whether an init waits for start: it holds exec.fifo open.
func (d *Dir) Waiting() bool {
	fd, err := d.openFifo(goName, unix.O_WRONLY|unix.O_NONBLOCK)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}

// RemoveFifos removes both; what is gone already is no error.
func (d *Dir) RemoveFifos() error {
	for _, name := range [...]string{goName, resultName} {
		if err := unix.Unlinkat(d.fd, name, 0); err != nil && err != unix.ENOENT {
			return fmt.Errorf("unlink %s/%s: %w", d.path, name, err)
		}
	}
	return nil
}

func (d *Dir) openFifo(name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(d.fd, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, fmt.Errorf("open %s/%s: %w", d.path, name, err)
		}
		return fd, nil
	}
}
