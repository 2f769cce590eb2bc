package spawn

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/sys"
)

// Adopt makes c follow the process that the message e tells of, a child of the caller
// that the program made by program.Builder.Clone, in place of the one that Spawn made. The
// former process is reaped.
//
// The number is proven to be that of a child of this process, which keeps it until it is
// reaped here: whoever forges the message can name no other process of the host. Nor can
// they name another child, of a process that has many: it is the first process that tells,
// which nobody else can speak for. The second, which the container may trace by then, has
// the same socket. The kernel has the sender's number; to give another one takes
// CAP_SYS_ADMIN in a pid namespace in which that process is seen.
//
// Source: waitid(2), P_PIDFD and ECHILD; unix(7), SO_PASSCRED.
func (c *Child) Adopt(e Event) error {
	if e.sender != c.Pid {
		return fmt.Errorf("program: process %d has told of a second process, which process %d would: it is not the program's message", e.sender, c.Pid)
	}
	pidfd, err := c.second(e.Value)
	if err != nil {
		return fmt.Errorf("program: process %d is not the second one of the program: %w", e.Value, err)
	}
	old, oldfd := c.Pid, c.Pidfd
	c.Pid, c.Pidfd, c.adopted = int(e.Value), pidfd, true
	unix.Close(oldfd)
	_, _ = sys.Wait(old) // it has ended, and how is nobody's question
	return nil
}

// second returns a pidfd of the process pid, a child of this one that c does not follow.
func (c *Child) second(pid int64) (pidfd int, err error) {
	if pid <= 0 || pid > math.MaxInt32 || int(pid) == c.Pid {
		return -1, unix.ESRCH
	}
	pidfd, err = unix.PidfdOpen(int(pid), 0)
	if err != nil {
		return -1, fmt.Errorf("pidfd_open: %w", err)
	}
	if err := sys.IsChild(pidfd); err != nil {
		unix.Close(pidfd)
		return -1, fmt.Errorf("waitid: %w", err)
	}
	return pidfd, nil
}

// Follow returns the Child that stands for a child of the caller which runs no program, as
// one that comes out of a checkpoint. The pidfd becomes the Child's.
func Follow(pid, pidfd int) *Child {
	return &Child{Pid: pid, Pidfd: pidfd, p: &program.Program{}, sock: -1}
}
