package life

import (
	"fmt"
	"strconv"

	"github.com/hutch-project/hutch/internal/outfile"
)

// writePidFile puts pid, in decimal and without a newline, into the file path,
// all at once: readers poll for it and take what they first see. A file that is
// there is replaced, a link too.
func writePidFile(path string, pid int) error {
	if err := outfile.Renew(path, []byte(strconv.Itoa(pid))); err != nil {
		return fmt.Errorf("write the pid file %s: %w", path, err)
	}
	return nil
}
