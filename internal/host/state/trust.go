package state

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/outfile"
	"github.com/hutch-project/hutch/internal/trust"
)

// ErrForeign is returned for a state directory, or a part of it, that another user
// owns or may write. A record names processes and cgroups to kill, mounts to undo
// and programs to run, all with the caller's rights.
var ErrForeign = errors.New("is not trusted")

// trusted fills st with the status of fd, and returns an error unless it belongs to
// the caller or to root and nobody else may write to it, but for a directory with the sticky
// bit: what is in there is looked at by itself. dev is the device of a directory that was looked
// at and is open, 0 for none.
func trusted(dev uint64, fd int, st *unix.Stat_t) error {
	if err := trust.FstatBeside(dev, fd, st); err != nil {
		return fmt.Errorf("fstat: %w", err)
	}
	switch (trust.Rule{Sticky: true}).Of(st) {
	case trust.Foreign:
		return fmt.Errorf("%w: it belongs to user %d, not to root or the caller, user %d: name another one with --root, or give it to the caller",
			ErrForeign, st.Uid, os.Geteuid())
	case trust.Writable:
		return fmt.Errorf("%w: others may write to it (mode %04o): take that from them with chmod go-w, if they have put nothing there", ErrForeign, st.Mode&0o7777)
	}
	return nil
}

// trustedPlace returns an error where somebody else could put another directory into the
// place of the root, whose descriptor is fd: one that belongs to root may be an image's, with
// records that the image has brought.
func trustedPlace(fd int, dev uint64) error {
	if err := trust.Above(fd, dev); err != nil {
		return fmt.Errorf("%w: %w: name another one with --root", ErrForeign, err)
	}
	return nil
}

// openDir opens the directory path, to which no symbolic link of another user leads. The
// error is bare, and unix.ENOENT where there is none.
func openDir(path string, flags int) (int, error) {
	fd, err := outfile.Open(path, flags|unix.O_DIRECTORY, 0)
	return fd, bare(err)
}

// makeDir is openDir for a directory that is made, with those above, where it is missing.
func makeDir(path string, flags int) (int, error) {
	fd, err := outfile.MakeDir(path, flags)
	return fd, bare(err)
}

func bare(err error) error {
	switch errno := unix.Errno(0); {
	case errors.Is(err, unix.ELOOP):
		return fmt.Errorf("%w: %w", ErrForeign, err)
	case errors.As(err, &errno):
		return errno
	}
	return err
}
