package spawn

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/proc"
	"github.com/hutch-project/hutch/internal/program"
)

// Adopt makes c follow the process that the message e tells of, a child of the caller
// that the program made by program.Builder.Clone, in place of the one that Spawn made. The
// former process is reaped.
//
// The pidfd that came along is proven to be that of a child of this process and of
// the number told: whoever forges the message, from inside the container, can have no
// pidfd of another process of the host.
//
// Source: waitid(2), P_PIDFD and ECHILD.
func (c *Child) Adopt(e Event) error {
	if e.Fd < 0 {
		return errors.New("program: a second process was told of without its pidfd")
	}
	pid, err := ownChild(e.Fd)
	if err == nil && (int64(pid) != e.Value || pid == c.Pid) {
		err = fmt.Errorf("it is process %d", pid)
	}
	if err != nil {
		unix.Close(e.Fd)
		return fmt.Errorf("program: process %d is not the second one of the program: %w", e.Value, err)
	}
	old, oldfd := c.Pid, c.Pidfd
	c.Pid, c.Pidfd, c.adopted = pid, e.Fd, true
	unix.Close(oldfd)
	for {
		if _, err := unix.Wait4(old, nil, 0, nil); err != unix.EINTR {
			return nil
		}
	}
}

// ownChild returns the number of pidfd's process, which must be a child of this one.
func ownChild(pidfd int) (int, error) {
	for {
		err := unix.Waitid(unix.P_PIDFD, pidfd, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return 0, fmt.Errorf("waitid: %w", err)
		}
	}
	return proc.PidOf(pidfd)
}

// Follow returns the Child that stands for a child of the caller which runs no program, as
// one that comes out of a checkpoint. The pidfd becomes the Child's.
func Follow(pid, pidfd int) *Child {
	return &Child{Pid: pid, Pidfd: pidfd, p: &program.Program{}, sock: -1}
}
