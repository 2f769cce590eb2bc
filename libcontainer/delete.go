package libcontainer

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Delete takes back all that create made: what is left of the processes, the
// cgroups, the state. A running container is refused unless force is set; a
// created one is ended. With force an id that does not exist is no error.
//
// Source: runtime-spec runtime.md "Delete".
func (r *Runtime) Delete(id string, force bool) error {
	c, err := r.open(id, true)
	if errors.Is(err, ErrNotExist) && force {
		return nil
	}
	if err != nil {
		return named("delete", id, err)
	}
	defer c.close()
	if err := c.delete(force); err != nil {
		return named("delete", id, err)
	}
	return nil
}

func (c *container) delete(force bool) error {
	if s := c.status(); !force && s != Stopped && s != Created {
		return fmt.Errorf("%w: it is %s; stop it first, or use --force", ErrNotStopped, s)
	}
	if err := c.end(); err != nil {
		return err
	}
	return c.destroy()
}

// end kills init and waits for its end.
func (c *container) end() error {
	pidfd, err := c.pidfd()
	if err != nil || pidfd < 0 {
		return err
	}
	defer unix.Close(pidfd)
	if err := c.killInit(pidfd, unix.SIGKILL); err != nil && !errors.Is(err, ErrNotRunning) {
		return err
	}
	if !waitEnd(pidfd) {
		return fmt.Errorf("init, process %d, does not end after SIGKILL: it is in the kernel; try again later", c.rec.Pid)
	}
	return nil
}

// destroy removes what a container without init leaves, the state last, so that
// a delete that fails can be tried again.
func (c *container) destroy() error {
	if err := c.removeCgroup(); err != nil {
		return err
	}
	if g := c.rdtGroup(); g != nil {
		if err := g.Remove(); err != nil {
			return err
		}
	}
	if err := removeRoot(c.rec); err != nil {
		return err
	}
	c.poststop()
	if err := c.r.removeNotify(c.rec.ID); err != nil {
		return err
	}
	return c.dir.Remove()
}

// removeCgroup ends what is left in the container's cgroups and removes them.
// Where the record does not tell that they were made, what is in them is
// somebody else's, or an init whose creator was killed right after the clone: that
// ends when it finds itself alone.
func (c *container) removeCgroup() error {
	scoped := c.rec.Cgroup.Own && c.rec.Cgroup.Unit != ""
	if !scoped && !c.cg.Exists() {
		return nil
	}
	if c.rec.Cgroup.Own {
		if err := c.cg.KillAll(); err != nil {
			return err
		}
		if scoped {
			if err := c.stopScope(); err != nil {
				// What is left of the cgroups is removed without systemd.
				c.r.warn(err.Error() + ", ignoring")
			}
		}
	} else if empty, err := c.awaitEmpty(); err != nil || !empty {
		return err
	}
	return c.cg.Remove()
}

// awaitEmpty waits, at most a second, until nothing is left in the cgroups.
func (c *container) awaitEmpty() (bool, error) {
	for end := time.Now().Add(time.Second); ; time.Sleep(time.Millisecond) {
		pids, err := c.cg.Pids()
		if err != nil || len(pids) == 0 || time.Now().After(end) {
			return len(pids) == 0, err
		}
	}
}
