package life

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/exefile"
	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/program"
)

// explainExec adds to err, when it is a failure of execve in the container, what the file
// in the image or else the errno alone says of the reason.
func (c *container) explainExec(err error) error {
	var failure *program.Error
	if !errors.As(err, &failure) || failure.Call != "execve" || failure.Errno == 0 {
		return err
	}
	reason := c.execError(failure.Note.String(), failure.Errno).Error()
	return fmt.Errorf("%w%s", err, strings.TrimPrefix(reason, failure.Errno.Error()))
}

// execError returns the errno of an execve with its reason. note is the text of the
// instruction's note, which ends with the name of the file, quoted.
func (c *container) execError(note string, errno unix.Errno) error {
	if _, quoted, ok := strings.Cut(note, "exec: "); ok {
		if name, err := strconv.Unquote(quoted); err == nil {
			if reason := exefile.Explain(c.rec.Rootfs, name, errno); reason != "" {
				return fmt.Errorf("%w: %s", errno, reason)
			}
		}
	}
	return process.ExplainExec(errno)
}
