package life

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/cgroup"
)

// atLimit is how exec's process comes to a container whose limit of tasks leaves no room for
// the two that its way there takes: it is made outside of the limit, and moved. The
// container stands still from before anything of it is in the container's pid namespace
// until it is in the cgroups: with CAP_SYS_PTRACE the container could have it fork
// meanwhile, and what it forks would stay outside, on cgroup v2 of all limits.
//
// The container is locked as long, since pause and resume would be confused, and another
// exec's thaw would let it go early. A runtime that is killed in between leaves the
// container paused, as a pause does: resume and delete --force go on from there.
type atLimit struct {
	procs []string // files of the cgroups that the process is moved into
	froze bool     // the container stands still, and is not paused
}

// mayMove refuses a container in whose pid namespace there are others too, which do not
// stand still with it. Where the process needs no clone to be there it is the host's.
func (e *execution) mayMove() error {
	if e.c.rec.PrivatePid || !e.init.Clones() {
		return nil
	}
	return errors.New("the container shares its pid namespace with others, so that no process can be moved into it")
}

// freeze stops the container, unless it is paused, until thaw.
func (e *execution) freeze() error {
	if err := e.mayMove(); err != nil {
		return fmt.Errorf("%w: %w", err, unix.EAGAIN)
	}
	if err := e.c.dir.Lock(lockWait); err != nil {
		return err
	}
	if e.c.cg.Frozen() { // the process is going to wait in it
		if !e.o.IgnorePaused {
			return errPaused
		}
		return nil
	}
	if err := e.c.cg.Freeze(); err != nil {
		return fmt.Errorf("the container has no room for a process, and does not stand still while one is moved into it: %w", err)
	}
	e.atLimit.froze = true
	return nil
}

// thaw lets the container go on. It may be called again.
func (e *execution) thaw() (err error) {
	if e.atLimit.froze {
		err = e.c.cg.Thaw()
		e.atLimit.froze = false
	}
	if e.c != nil && e.way.outside {
		e.c.dir.Unlock()
	}
	return err
}

// move moves the process, which waits, into the cgroups that were too full to make it
// there.
func (e *execution) move() error {
	for _, file := range e.atLimit.procs {
		if err := cgroup.Move(file, e.child.Pid); err != nil {
			return err
		}
	}
	return e.thaw()
}

// paused reports whether the container is paused for longer than another exec has it stand
// still.
func (e *execution) paused() bool {
	if !e.c.dir.Locked() {
		return true
	}
	if err := e.c.dir.Lock(lockWait); err != nil {
		return true
	}
	defer e.c.dir.Unlock()
	return e.c.cg.Frozen()
}
