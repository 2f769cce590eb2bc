package life

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/state"
	"github.com/hutch-project/hutch/internal/proc"
)

// Delete takes back all that create made: what is left of the processes, the
// cgroups, the state, and runs the poststop hooks. A running container is refused
// unless force is set; a created one is ended. With force an id that does not exist
// is no error.
//
// With force the container is killed before its lock is asked for, so that whoever
// holds that and waits for something of the container waits no more.
//
// Source: runtime-spec runtime.md "Delete".
func (r *Runtime) Delete(id string, force bool) error {
	c, err := r.open(id, !force)
	var damaged *state.DamagedError
	if force && errors.As(err, &damaged) {
		c, err = r.salvage(id, damaged)
	}
	if err == nil {
		defer c.close()
		if force {
			err = c.deleteForce()
		} else {
			err = c.delete()
		}
	}
	if errors.Is(err, ErrNotExist) && force {
		return nil
	}
	return named("delete", id, err)
}

// salvage returns the container of a record that cannot be read: its init, where that is proven,
// and the cgroups that it has by default are all that is known of it.
func (r *Runtime) salvage(id string, damaged *state.DamagedError) (*container, error) {
	root, err := state.Open(r.Root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	ctr := &container{r: r, rec: damaged.Left, damaged: true}
	if ctr.dir, err = root.Load(id); err != nil {
		return nil, err
	}
	l, err := cgroup.Detect(cgroup.Root)
	if err == nil {
		defer l.Close()
		var plan *cgroup.Plan
		if plan, err = l.Plan("", id); err == nil {
			ctr.rec.Cgroup = ctr.proven(plan.Paths())
			ctr.cg, err = cgroup.Load(ctr.rec.Cgroup.Paths, ctr.rec.Cgroup.Inodes)
		}
	}
	if err != nil {
		ctr.close()
		return nil, err
	}
	r.warn(damaged.Error() + ": what it told of is not known: cgroups of another name, hooks, a resctrl group and network devices are left, ignoring")
	return ctr, nil
}

// proven returns the cgroups p of a container whose record is damaged. Where init is known
// they are its own if it is in them: it may have ended, and another container have them.
// Where nothing is known the id has to do.
func (c *container) proven(p cgroup.Paths) state.Cgroup {
	if c.rec.Pid == 0 {
		return state.Cgroup{Paths: p, Own: true}
	}
	now, err := p.Now(c.rec.Pid)
	if err != nil || !proc.Alive(c.rec.Pid, c.rec.PidStart) || !maps.Equal(now, p) {
		return state.Cgroup{Paths: p}
	}
	made, err := p.InodesOf()
	return state.Cgroup{Paths: p, Own: err == nil, Inodes: made}
}

func (c *container) delete() error {
	if s := c.status(); s != Stopped && s != Created {
		return fmt.Errorf("%w: it is %s; stop it first, or use --force", ErrNotStopped, s)
	}
	// Before the lock: whoever holds it may wait for init, and goes on when that has ended.
	if err := c.end(); err != nil {
		return err
	}
	return c.destroy()
}

// forceWait bounds what delete --force waits for a lock: as long as a command takes that
// finds its container dead and takes it back.
var forceWait = 4 * time.Second // a variable for tests

func (c *container) deleteForce() error {
	// What held the lock may have recorded another init.
	if err := c.end(); err != nil {
		return err
	}
	err := c.dir.Lock(forceWait)
	if errors.Is(err, state.ErrLocked) {
		c.r.warn(err.Error() + ": it is taken away from it, ignoring")
		return c.takeAway()
	}
	if err != nil {
		return err
	}
	if !c.damaged {
		if err := c.load(); err != nil {
			return err
		}
	}
	if err := c.end(); err != nil {
		return err
	}
	return c.destroy()
}

// takeTries bounds how often the holder of a lock that does not answer writes the
// record all the same: it does so a few times in all.
const takeTries = 16

// takeAway destroys a container that another command has locked which does not go on: it
// may be stopped, or wait in the kernel. See state.Take for what that one finds when it
// goes on.
func (c *container) takeAway() (err error) {
	c.taken = true
	for range takeTries {
		if c.damaged {
			return errors.New("its record is damaged, and another command has it locked; end that")
		}
		if c.rec, err = c.dir.Take(); err != nil {
			return err
		}
		if c.cg, err = cgroup.Load(c.rec.Cgroup.Paths, c.rec.Cgroup.Inodes); err != nil {
			return err
		}
		if err = c.end(); err != nil {
			return err
		}
		if err = c.destroy(); !errors.Is(err, state.ErrChanged) {
			return err
		}
	}
	return err
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
	// A process that is frozen by cgroup v1 does not die of SIGKILL.
	if done, err := ended(pidfd, time.Now().Add(stuckEvery)); err == nil && !done {
		c.r.warnIf(cgroup.Paths(c.rec.Cgroup.Paths).ThawElsewhere(c.rec.Pid))
	}
	if !waitKilled(pidfd, c.cg, c.rec.Cgroup.Own) {
		return fmt.Errorf("init, process %d, does not end after SIGKILL: it is in the kernel, or frozen in a cgroup of others; try again later", c.rec.Pid)
	}
	return nil
}

// destroy removes what a container without init leaves, the state last, so that
// a delete that fails can be tried again, and then runs the poststop hooks: by then
// nothing is locked, and nobody else runs them.
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
	if err := c.r.removeNotify(c.rec.ID); err != nil {
		return err
	}
	remove := c.dir.Remove
	if c.taken {
		remove = c.dir.RemoveTaken
	}
	removed, err := remove()
	if err != nil || !removed {
		return err
	}
	c.dir.Unlock()
	c.poststop()
	return nil
}

// removeCgroup ends what is left in the container's cgroups and removes them.
// Where the record does not have it that they were made, what is in them is
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
		// The unit of another container has the same name when its cgroups have the same place.
		_, taken := c.cg.Pids()
		if scoped && !errors.Is(taken, cgroup.ErrTaken) {
			if err := c.stopScope(); err != nil {
				// What is left of the cgroups is removed without systemd.
				c.r.warn(err.Error() + ", ignoring")
			}
		}
	} else if empty, err := c.awaitEmpty(); err != nil || !empty {
		return err
	}
	if err := c.cg.Remove(); err != nil {
		return err
	}
	if scoped {
		cgroup.Paths(c.rec.Cgroup.Paths).RemoveUnit(c.rec.Cgroup.Unit)
	}
	return nil
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
