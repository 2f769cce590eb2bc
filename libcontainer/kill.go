package libcontainer

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Kill sends sig to the container's init, or, with all, to all its processes.
//
// A container without a pid namespace of its own outlives its init, so SIGKILL
// reaches all its processes. A stopped container is ErrNotRunning, but not with
// all: then what is left in its cgroup gets the signal.
//
// Source: runtime-spec runtime.md "Kill".
func (r *Runtime) Kill(id string, sig Signal, all bool) error {
	c, err := r.open(id, false)
	if err != nil {
		return named("kill", id, err)
	}
	defer c.close()
	if err := c.kill(sig, all); err != nil {
		return named("kill", id, err)
	}
	return nil
}

func (c *container) kill(sig Signal, all bool) error {
	pidfd, err := c.pidfd()
	if err != nil {
		return err
	}
	if pidfd >= 0 {
		defer unix.Close(pidfd)
	}
	switch {
	case sig == unix.SIGKILL && (all || pidfd >= 0 && !c.rec.PrivatePid):
		if err := c.cg.KillAll(); err != nil {
			return err
		}
		if pidfd < 0 {
			return nil
		}
		// Where there is no cgroup, init is all that is known. Where there is
		// one, init may be dead by now, and reaped: that is what was asked for.
		if err := c.killInit(pidfd, sig); !errors.Is(err, ErrNotRunning) {
			return err
		}
		return nil
	case all:
		return c.cg.SignalAll(sig)
	case pidfd < 0:
		return ErrNotRunning
	}
	return c.killInit(pidfd, sig)
}

// killInit signals init. On cgroup v1 a frozen process dies only when thawed.
func (c *container) killInit(pidfd int, sig Signal) error {
	err := unix.PidfdSendSignal(pidfd, sig, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return ErrNotRunning
	}
	if err != nil {
		return fmt.Errorf("send signal %d: %w", int(sig), err)
	}
	if sig == unix.SIGKILL {
		return c.cg.Thaw()
	}
	return nil
}
