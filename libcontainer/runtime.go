package libcontainer

import (
	"context"
	"errors"
	"sync"

	"github.com/hutch-project/hutch/internal/life"
)

// Runtime is what all containers of one state directory share. Its fields are not changed
// after its first use, and it is not copied. Several Runtimes, of several programs, may
// have the same Root.
type Runtime struct {
	// Root is the state directory, an absolute path: it gets a directory for each
	// container. It is made when it is missing, and must belong to the caller or to root,
	// with nobody else allowed to write. It has to be on a file system that does not
	// outlive the boot, as /run. Required.
	Root string
	// CgroupManager is who makes the cgroups of new containers.
	CgroupManager CgroupManager
	// SessionBus and RuntimeDir are the values of DBUS_SESSION_BUS_ADDRESS and
	// XDG_RUNTIME_DIR, by which the manager Systemd finds the service manager of a user
	// without privileges. Root needs neither.
	SessionBus, RuntimeDir string
	// Resctrl is where the resctrl file system is mounted. Empty looks it up when a
	// specification has linux.intelRdt.
	Resctrl string
	// Rootless tolerates cgroups that the caller may not make. Set it when the caller has
	// no privileges, as by os.Geteuid() != 0.
	Rootless bool
	// HookEnv returns the environment of hooks that have no env of their own, as os.Environ
	// does. Nil is an empty one, as the specification has it.
	HookEnv func() []string

	// Warn is called with what was tolerated and what it costs, Note with what is
	// tolerated and too usual for a warning, Debug with the steps. Each may be nil, and
	// must be ready for calls by several goroutines at once.
	Warn, Note, Debug func(text string)

	mu  sync.Mutex
	own map[string]*Container // made by this Runtime and not deleted, by id
}

// CgroupManager is who makes a container's cgroups.
type CgroupManager uint8

// The cgroup managers.
const (
	Cgroupfs CgroupManager = iota // this package, in the cgroup file systems
	Systemd                       // systemd, as a transient scope
	Disabled                      // nobody: a container has no cgroup and no limits
)

// String returns the value of the command's flag --cgroup-manager.
func (m CgroupManager) String() string {
	switch m {
	case Cgroupfs:
		return "cgroupfs"
	case Systemd:
		return "systemd"
	case Disabled:
		return "disabled"
	}
	return "unknown"
}

// errNoRoot and errManager are mistakes of the caller.
var (
	errNoRoot  = errors.New("Runtime.Root is empty: give the path of a state directory, as /run/NAME")
	errManager = errors.New("Runtime.CgroupManager is not Cgroupfs, Systemd or Disabled")
)

// life returns the runtime that does the work.
func (r *Runtime) life() (*life.Runtime, error) {
	switch {
	case r.Root == "":
		return nil, errNoRoot
	case r.CgroupManager > Disabled:
		return nil, errManager
	}
	return &life.Runtime{
		Root: r.Root, CgroupManager: life.CgroupManager(r.CgroupManager), SessionBus: r.SessionBus, RuntimeDir: r.RuntimeDir,
		Resctrl: r.Resctrl, Rootless: r.Rootless, HookEnv: r.HookEnv, Warn: r.Warn, Note: r.Note, Debug: r.Debug,
	}, nil
}

// do calls f with the runtime that does the work, and returns its error as an *Error.
func (r *Runtime) do(op, id string, f func(*life.Runtime) error) error {
	l, err := r.life()
	if err == nil {
		err = f(l)
	}
	return wrap(op, id, err)
}

// Load returns the container id of the state directory, whoever has made it. The error is
// ErrNotExist, wrapped, where there is none.
//
// The Wait of a container that this Runtime has not made returns the status where the
// kernel tells it to others than the parent, and otherwise ErrStatusUnknown.
func (r *Runtime) Load(id string) (*Container, error) {
	var s *State
	var pid, pidfd int
	err := r.do("state", id, func(l *life.Runtime) error {
		got, err := l.State(id)
		if err != nil {
			return err
		}
		s = newState(got)
		pid, pidfd, err = l.Pidfd(id)
		return err
	})
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	c := r.own[id]
	r.mu.Unlock()
	if c != nil && c.created.Equal(s.Created) {
		closeFd(pidfd)
		return c, nil
	}
	return &Container{r: r, id: id, created: s.Created, init: otherProcess(pid, pidfd)}, nil
}

// remember notes a container that is made, for Load to return it too, whose status no
// other handle could learn.
func (r *Runtime) remember(c *Container) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.own == nil {
		r.own = map[string]*Container{}
	}
	r.own[c.id] = c
}

// forget takes back remember.
func (r *Runtime) forget(c *Container) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.own[c.id] == c {
		delete(r.own, c.id)
	}
}

// List returns the states of all containers of the state directory, sorted by id. What is
// damaged is left out, with a warning. Without a state directory there are none.
func (r *Runtime) List() ([]State, error) {
	var out []State
	err := r.do("list", "", func(l *life.Runtime) error {
		all, err := l.List()
		for i := range all {
			out = append(out, *newState(&all[i]))
		}
		return err
	})
	return out, err
}

// Run creates a container, starts it, waits for its end and deletes it, and returns how its
// process has ended. The container is gone when Run returns, also when ctx ends first: then
// it is killed, and the error wraps that of ctx.
//
// Signals of this process are not passed on to the container.
func (r *Runtime) Run(ctx context.Context, o *CreateOptions) (ExitStatus, error) {
	c, err := r.Create(ctx, o)
	if err != nil {
		return unknownStatus, err
	}
	status := unknownStatus
	if err = c.Start(ctx); err == nil {
		status, err = c.Wait(ctx)
	}
	deleted := c.Delete(context.WithoutCancel(ctx), true)
	return status, errors.Join(err, deleted)
}
