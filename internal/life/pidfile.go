package life

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/outfile"
	"github.com/hutch-project/hutch/internal/sys"
)

// writePidFile puts pid, in decimal and without a newline, into the file path,
// all at once: readers poll for it and take what they first see. A file that is
// there is replaced, a link too.
func writePidFile(path string, pid int) error {
	fd, tmp, err := outfile.Beside(path)
	if err == nil {
		err = sys.WriteOnce(fd, strconv.Itoa(pid))
		unix.Close(fd)
		if err == nil {
			err = unix.Rename(tmp, path)
		}
		if err != nil {
			_ = unix.Unlink(tmp)
		}
	}
	if err != nil {
		return fmt.Errorf("write the pid file %s: %w", path, err)
	}
	return nil
}
