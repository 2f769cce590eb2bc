package life

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/state"
	"github.com/hutch-project/hutch/internal/proc"
	"github.com/hutch-project/hutch/internal/validate"
)

// The texts of these errors are matched by engines.
var (
	// ErrNotExist is returned when there is no container of the id.
	ErrNotExist = state.ErrNotExist
	// ErrExists is returned when there is a container of the id already.
	ErrExists = state.ErrExists
	// ErrNotRunning is returned when a signal finds no process.
	ErrNotRunning = errors.New("container not running")
	// ErrRunning is returned when a running container is to be started.
	ErrRunning = errors.New("cannot start an already running container")
	// ErrStopped is returned when a stopped container is to be started.
	ErrStopped = errors.New("cannot start a container that has stopped")
	// ErrNotStopped is returned when a container that is not stopped is to be
	// deleted.
	ErrNotStopped = errors.New("cannot delete a container that is not stopped")
)

// container is one that exists.
type container struct {
	r   *Runtime
	dir *state.Dir
	rec *state.Record
	cg  cgroup.Manager

	damaged bool // rec is what is left of a record that cannot be read

	taken bool // from another command, which has it locked
}

// lockWait bounds the wait for another command to give up a container's lock. None
// holds it longer but a create, whose hooks may take their time, and one that was
// stopped.
var lockWait = 10 * time.Second // a variable for tests

// open loads the container id; with lock nobody else changes it until close.
func (r *Runtime) open(id string, lock bool) (*container, error) {
	if err := validate.ID(id); err != nil {
		return nil, err
	}
	root, err := state.Open(r.Root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	dir, err := root.Load(id)
	if err != nil {
		return nil, err
	}
	c := &container{r: r, dir: dir}
	if err := c.read(lock); err != nil {
		dir.Close()
		return nil, err
	}
	return c, nil
}

func (c *container) read(lock bool) error {
	if lock {
		if err := c.dir.Lock(lockWait); err != nil {
			return err
		}
	}
	return c.load()
}

// load reads the record.
func (c *container) load() (err error) {
	if c.rec, err = c.dir.Record(); err != nil {
		return err
	}
	c.cg, err = cgroup.Load(c.rec.Cgroup.Paths, c.rec.Cgroup.Inodes)
	return err
}

func (c *container) close() { c.dir.Close() }

// pidfd opens init, -1 when it has ended: a zombie has, too.
func (c *container) pidfd() (int, error) {
	if c.rec.Pid == 0 {
		return -1, nil
	}
	fd, err := proc.OpenPidfd(c.rec.Pid, c.rec.PidStart)
	if errors.Is(err, unix.ESRCH) {
		return -1, nil
	}
	return fd, err
}

// status derives the state from the record and the process.
func (c *container) status() Status {
	switch {
	case c.rec.Pid == 0 || !proc.Alive(c.rec.Pid, c.rec.PidStart):
		if c.rec.Status == string(Creating) {
			return c.statusBeforeInit()
		}
		return Stopped
	case c.rec.Status == string(Creating):
		return Creating
	case c.cg.Frozen():
		return Paused
	case c.dir.Waiting():
		return Created
	}
	return Running
}

// statusBeforeInit distinguishes a container that is being created, and has no process or has
// another one by now, from one whose creator has died or failed: the creator holds the
// lock.
func (c *container) statusBeforeInit() Status {
	if c.dir.Locked() {
		return Creating
	}
	// The creator may have come to its end since the record was read.
	was := c.rec
	if err := c.load(); err != nil || c.rec.Pid == was.Pid && c.rec.Status == was.Status {
		return Stopped
	}
	return c.status()
}

// State returns the container's state.
//
// Source: runtime-spec runtime.md "Query State".
func (r *Runtime) State(id string) (*State, error) {
	c, err := r.open(id, false)
	if err != nil {
		return nil, named("state", id, err)
	}
	defer c.close()
	s := c.state()
	return &s, nil
}

func (c *container) state() State {
	status := c.status() // first, since it may read the record again
	out := State{
		OCIVersion:  c.rec.OCIVersion,
		ID:          c.rec.ID,
		Status:      status,
		Bundle:      c.rec.Bundle,
		Rootfs:      c.rec.Rootfs,
		Created:     c.rec.Created,
		Annotations: c.rec.Annotations,
		Owner:       ownerName(c.rec.Owner),
	}
	if out.Status != Stopped {
		out.Pid = c.rec.Pid
	}
	return out
}

// List returns the state of all containers, by id. What is damaged is warned of and
// left out.
func (r *Runtime) List() ([]State, error) {
	root, err := state.Open(r.Root)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	ids, err := root.List()
	if err != nil {
		return nil, err
	}
	var out []State
	for _, id := range ids {
		c, err := r.open(id, false)
		if errors.Is(err, ErrNotExist) {
			continue // deleted meanwhile
		}
		if err != nil {
			r.warn(fmt.Sprintf("load container %s: %v, ignoring", id, err))
			continue
		}
		out = append(out, c.state())
		c.close()
	}
	return out, nil
}
