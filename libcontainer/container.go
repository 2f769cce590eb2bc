package libcontainer

import (
	"context"
	"io"
	"syscall"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/life"
)

// Container is a container of a Runtime, as Create and Load return it. It is no more than
// its id and its init: who deletes it and creates another one of the id has that behind it.
type Container struct {
	r       *Runtime
	id      string
	created time.Time
	init    *Process
}

// ID returns the container's id.
func (c *Container) ID() string { return c.id }

// Init returns the container's first process, whose end is that of the container.
func (c *Container) Init() *Process { return c.init }

// Wait is Init().Wait: it waits for the end of the container's first process, whether it
// has been started or not.
func (c *Container) Wait(ctx context.Context) (ExitStatus, error) { return c.init.Wait(ctx) }

// Start lets init execute the process of the specification, and returns when it has, and
// the poststart hooks have run. The error is ErrRunning or ErrStopped, wrapped, where that
// is too late, and that of an execve that fails.
//
// When a hook fails, or ctx ends first, the container is killed and deleted.
//
// Source: runtime-spec runtime.md "Start" and "Lifecycle".
func (c *Container) Start(ctx context.Context) error {
	err := c.r.do("start", c.id, func(l *life.Runtime) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		// The deletion of the container ends all that Start may wait for.
		deleted := make(chan error, 1)
		stop := context.AfterFunc(ctx, func() { deleted <- l.Delete(c.id, true) })
		err := l.Start(c.id, &life.StartOptions{})
		if stop() {
			return err
		}
		if failed := <-deleted; failed != nil {
			return &cancelled{ctx.Err(), failed}
		}
		c.r.forget(c)
		if err == nil {
			return ctx.Err()
		}
		return because(ctx, err)
	})
	return err
}

// Signal sends sig to init. The error is ErrNotRunning, wrapped, when the container has
// ended. SIGKILL reaches all processes of a container without a pid namespace of its own,
// and before Start the signals that ask for an end, as SIGTERM, end the container.
//
// Source: runtime-spec runtime.md "Kill".
func (c *Container) Signal(sig syscall.Signal) error { return c.kill(sig, false) }

// SignalAll sends sig to all processes of the container, also to those that init has left.
func (c *Container) SignalAll(sig syscall.Signal) error { return c.kill(sig, true) }

func (c *Container) kill(sig syscall.Signal, all bool) error {
	return c.r.do("kill", c.id, func(l *life.Runtime) error { return l.Kill(c.id, sig, all) })
}

// Delete takes back all that Create has made, what is left of the processes, cgroups, mounts
// and state, and runs the poststop hooks. A container that is started and has not ended is
// ErrNotStopped, wrapped, unless force kills it. With force a container that is not there
// is no error. A Delete that fails can be tried again.
//
// Init of this program has been waited for when Delete returns. When ctx ends first its
// error is returned, wrapped, and the deletion goes on.
//
// Source: runtime-spec runtime.md "Delete".
func (c *Container) Delete(ctx context.Context, force bool) error {
	return c.r.do("delete", c.id, func(l *life.Runtime) error {
		deleted := make(chan error, 1)
		go func() { deleted <- c.delete(l, force) }()
		select {
		case err := <-deleted:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// delete deletes the container, and waits for its init, a child of this program, to be
// waited for.
func (c *Container) delete(l *life.Runtime, force bool) error {
	if err := l.Delete(c.id, force); err != nil {
		return err
	}
	c.r.forget(c)
	if c.init.child {
		<-c.init.ended
	}
	return nil
}

// State returns the container's state now.
//
// Source: runtime-spec runtime.md "State".
func (c *Container) State() (*State, error) {
	var s *State
	err := c.r.do("state", c.id, func(l *life.Runtime) error {
		got, err := l.State(c.id)
		if err == nil {
			s = newState(got)
		}
		return err
	})
	return s, err
}

// Pause stops all processes of the container, by the freezer of its cgroup.
func (c *Container) Pause() error {
	return c.r.do("pause", c.id, func(l *life.Runtime) error { return l.Pause(c.id) })
}

// Resume lets the processes of a paused container go on. The error is ErrNotPaused, wrapped,
// when it is not paused.
func (c *Container) Resume() error {
	return c.r.do("resume", c.id, func(l *life.Runtime) error { return l.Resume(c.id) })
}

// Update changes limits of the container, as MergeResources does with those that it has.
// When one cannot be set all are as before.
func (c *Container) Update(with *specs.LinuxResources) error {
	return c.r.do("update", c.id, func(l *life.Runtime) error {
		return l.Update(c.id, func(r *specs.LinuxResources) { MergeResources(r, with) })
	})
}

// Pids returns the processes of the container, by their ids in this program's pid namespace,
// in no order.
func (c *Container) Pids() ([]int, error) {
	var pids []int
	err := c.r.do("ps", c.id, func(l *life.Runtime) (err error) {
		pids, err = l.Pids(c.id)
		return err
	})
	return pids, err
}

// Stats returns what the container has used so far: a JSON object of one line, of the type
// "stats" of runc's events.
func (c *Container) Stats() ([]byte, error) {
	var line []byte
	err := c.r.do("events", c.id, func(l *life.Runtime) (err error) {
		line, err = l.Stats(c.id)
		return err
	})
	return line, err
}

// Events writes a line of JSON to w for each event, in the form of runc's events, until the
// container ends: "stats" at once and at each interval, "oom" when the OOM killer has come.
// It returns the error of w at once, and that of ctx, wrapped, when it ends.
func (c *Container) Events(ctx context.Context, interval time.Duration, w io.Writer) error {
	return c.r.do("events", c.id, func(l *life.Runtime) error {
		if err := l.EventsUntil(ctx, c.id, interval, w); err != nil {
			return err
		}
		return ctx.Err()
	})
}

// Status is the status of a container.
type Status string

// The statuses, those of the specification and Paused, which runc has too.
const (
	Creating Status = "creating" // Create runs, or was killed
	Created  Status = "created"  // init waits for Start
	Running  Status = "running"
	Paused   Status = "paused"
	Stopped  Status = "stopped" // init has ended
)

// State is the state of a container. Its JSON form is that of the specification, with
// rootfs, created and owner, which runc adds.
//
// Source: runtime-spec runtime.md "State".
type State struct {
	OCIVersion  string            `json:"ociVersion"`            // of the specification that it was made of
	ID          string            `json:"id"`                    // of the container
	Pid         int               `json:"pid"`                   // of init, in this program's pid namespace; 0 once stopped
	Status      Status            `json:"status"`                // now
	Bundle      string            `json:"bundle"`                // absolute path
	Rootfs      string            `json:"rootfs"`                // absolute path
	Created     time.Time         `json:"created"`               // UTC, when Create began
	Annotations map[string]string `json:"annotations,omitempty"` // of the specification
	Owner       string            `json:"owner"`                 // user name of who made it, or the number
}

func newState(s *life.State) *State {
	return &State{s.OCIVersion, s.ID, s.Pid, Status(s.Status), s.Bundle, s.Rootfs, s.Created, s.Annotations, s.Owner}
}
