package life

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/proc"
	"github.com/hutch-project/hutch/internal/sigaction"
)

// Kill sends sig to the container's init, or, with all, to all its processes.
//
// A container without a pid namespace of its own outlives its init, so SIGKILL
// reaches all its processes, also when init has ended. Else a stopped container is
// ErrNotRunning, but not with all: then what is left in its cgroup gets the signal.
//
// Before start there is no program that could handle a signal: those that are there to
// end one end the container.
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
	if pidfd >= 0 && c.endsCreated(sig) {
		sig = unix.SIGKILL
	}
	switch {
	case sig == unix.SIGKILL && (all || !c.rec.PrivatePid):
		if pidfd < 0 && !all {
			if left, err := c.outlived(); err != nil {
				return err
			} else if !left {
				return ErrNotRunning
			}
		}
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
	err = c.killInit(pidfd, sig)
	if err == nil && sig == unix.SIGKILL {
		c.unstickInit(pidfd)
	}
	return err
}

// endsCreated reports whether sig is one that asks a program for its end, and init waits
// for start. By itself it ends by these, too (process.EndOnSignals); SIGKILL also reaches one
// that is frozen.
func (c *container) endsCreated(sig Signal) bool {
	return sigaction.EndsPrograms(sig) && c.dir.Waiting()
}

// outlived reports whether processes of the container are left in cgroups that are its
// own.
func (c *container) outlived() (bool, error) {
	if !c.rec.Cgroup.Own {
		return false, nil
	}
	pids, err := c.cg.Pids()
	if errors.Is(err, cgroup.ErrTaken) {
		return false, nil
	}
	return len(pids) > 0, err
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

const (
	// endWait bounds the wait for the end of a process that has got SIGKILL: one in
	// uninterruptible sleep may stay longer.
	endWait = 10 * time.Second
	// stuckEvery is the time between two looks at a freezer that may hold it up.
	stuckEvery = 5 * time.Millisecond
)

// waitKilled waits until init, which has got SIGKILL, has ended, and reports whether it
// has. On cgroup v1 the container's other processes may freeze it again before it sees the
// signal, where the freezer is writable to them. They get it too then, where the cgroups cg
// are the container's own, and are thawed, until nobody is left to freeze anything.
func waitKilled(pidfd int, cg cgroup.Manager, own bool) bool {
	for deadline := time.Now().Add(endWait); ; {
		done, err := ended(pidfd, time.Now().Add(stuckEvery))
		if done || err != nil || !time.Now().Before(deadline) {
			return done
		}
		unstick(cg, own)
	}
}

// unstick reports whether a freezer was in the way of a process that has got SIGKILL, and
// takes it out of there.
func unstick(cg cgroup.Manager, own bool) bool {
	if !cg.Stuck() {
		return false
	}
	if own {
		_ = cg.KillAll() // the wait that it is done for says what stays
	} else {
		_ = cg.Thaw()
	}
	return true
}

// unstickInit does so until init, which has got SIGKILL, has ended, or sleeps in the kernel
// where the signal does not reach it. One that only waits for a processor may still be
// frozen before it gets there.
func (c *container) unstickInit(pidfd int) {
	switch c.mode() {
	case cgroup.None, cgroup.V2: // there it ends frozen too
		return
	}
	deadline := time.Now().Add(endWait)
	for looks := 0; looks < 3 && time.Now().Before(deadline); {
		if done, err := ended(pidfd, time.Now().Add(stuckEvery)); done || err != nil {
			return
		}
		sleeps := proc.Uninterruptible(c.rec.Pid) // a frozen one is so too, hence asked first
		if looks++; unstick(c.cg, c.rec.Cgroup.Own) || !sleeps {
			looks = 0
		}
	}
}
