package state

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrChanged is returned by RemoveTaken when the container's record has been written
// since Take.
var ErrChanged = errors.New("the record has changed")

// Take takes the record away from a command that has the container locked and does
// not go on, and returns it. Then RemoveTaken removes the directory. What that command
// writes in between keeps the directory from being removed, and is to be taken in turn;
// what it would write later fails, as there is no directory to write in. So nothing that
// is written down is missed.
//
// Source: rename(2); rmdir(2), ENOTEMPTY.
func (d *Dir) Take() (*Record, error) {
	err := unix.Renameat(d.fd, recordName, d.fd, takenName)
	if err != nil && err != unix.ENOENT {
		return nil, fmt.Errorf("rename %s/%s to %s: %w", d.path, recordName, takenName, err)
	}
	return d.Record()
}

// RemoveTaken is Remove after Take. The error is ErrChanged, wrapped, when something
// was written meanwhile.
func (d *Dir) RemoveTaken() (removed bool, err error) {
	removed, err = d.remove(goName, resultName, recordName+tempSuffix, takenName)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) {
		err = fmt.Errorf("%w: %w", ErrChanged, err)
	}
	return removed, err
}
