package life

import (
	"errors"

	"github.com/hutch-project/hutch/internal/host/cgroup"
)

// ErrNotPaused is returned when a container that is not paused is to be resumed.
// Engines match its text.
var ErrNotPaused = errors.New("container not paused")

// Pause stops all processes of the container, which may be created or running.
//
// Source: cgroup-v2.rst, cgroup.freeze; cgroup-v1/freezer-subsystem.rst.
func (r *Runtime) Pause(id string) error {
	return r.change(id, "pause", func(c *container) error {
		switch c.status() {
		case Created, Running:
			err := c.cg.Freeze()
			if errors.Is(err, cgroup.ErrCannotFreeze) && !c.hasCgroup() {
				err = withoutCgroup(err)
			}
			return err
		case Paused:
			return errors.New("container is paused already")
		}
		return ErrNotRunning
	})
}

// Resume lets the processes of a paused container go on.
func (r *Runtime) Resume(id string) error {
	return r.change(id, "resume", func(c *container) error {
		if c.status() != Paused {
			return ErrNotPaused
		}
		return c.cg.Thaw()
	})
}

// change does something with the locked container id.
func (r *Runtime) change(id, operation string, do func(*container) error) error {
	c, err := r.open(id, true)
	if err != nil {
		return named(operation, id, err)
	}
	defer c.close()
	return named(operation, id, do(c))
}

// mode returns the layout of the container's cgroups.
func (c *container) mode() cgroup.Mode { return cgroup.Paths(c.rec.Cgroup.Paths).Mode() }
