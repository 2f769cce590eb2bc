package life

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/systemd"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/seat"
)

// ownCgroup is how a caller without the host's root has a cgroup for a container.
const ownCgroup = "--cgroup-manager systemd in a login session, or systemd-run --user --scope --property Delegate=yes (on cgroup v2)"

// withoutCgroup explains err of a container without cgroups: what it cannot have, and how to
// create it with one.
func withoutCgroup(err error) error {
	if seat.HostRoot() {
		return fmt.Errorf("%w: the container has no cgroup of its own; create it with --cgroup-manager cgroupfs or systemd", err)
	}
	return fmt.Errorf("%w: the container has no cgroup of its own, but its caller's; create it with %s", err, ownCgroup)
}

// hasCgroup reports whether the container has a cgroup, its own or the one that it was told.
func (c *container) hasCgroup() bool { return len(c.rec.Cgroup.Paths) > 0 }

// explainController adds to err, when it is that a user's service manager has not been
// handed a controller, what hands it on.
func explainController(err error) error {
	if seat.HostRoot() || !errors.Is(err, cgroupfs.ErrNoController) || !(denied(err) || errors.Is(err, unix.ENOENT)) {
		return err
	}
	if _, none := os.Stat("/run/systemd/system"); none != nil {
		return err
	}
	return fmt.Errorf("%w; %s", err, systemd.DelegateRemedy)
}

// entryError is that the caller may move no process from where it is to the container's
// cgroups.
type entryError struct{ error }

func (e entryError) Unwrap() error { return e.error }

// entryDenied returns err as an entryError where it is one.
func entryDenied(err error) error {
	var failed *program.Error
	if errors.Is(err, unix.EACCES) && !errors.As(err, &failed) {
		return entryError{err}
	}
	return err
}

// mayAttach reports whether err is that the caller may not enter the container's cgroups,
// and whether systemd, which has made them, can take a process there: the cgroup above both
// is not the caller's where one of them is in a login session, the other one below the
// user's service manager.
//
// Source: cgroup-v2.rst, "Delegation Containment"; clone(2), EACCES of CLONE_INTO_CGROUP.
func (e *execution) mayAttach(err error) bool {
	return errors.As(err, new(entryError)) && e.attach == nil &&
		e.c.rec.Cgroup.Unit != "" && cgroup.Paths(e.c.rec.Cgroup.Paths).Mode() == cgroup.V2
}

// attachment is how systemd takes exec's process into the container's cgroup. It does so
// while the process is still the caller's and in no namespace of the container.
type attachment struct {
	sub cgroup.Sub
}

// toUnit has systemd move the process, which waits.
func (e *execution) toUnit() error {
	conn, err := e.r.dialSystemd(e.c.rec.Cgroup.User)
	if err != nil {
		return err
	}
	defer conn.Close()
	unit := systemd.Unit{Name: e.c.rec.Cgroup.Unit}
	paths := cgroup.Paths(e.c.rec.Cgroup.Paths)
	within := paths.Within(unit.Name)
	err = conn.Attach(unit, path.Join(within, e.attach.sub[""]), e.child.Pid)
	if err == nil || len(e.attach.sub) > 0 {
		return err
	}
	// Init may have gone to a sub-cgroup, and then only such ones take processes.
	sub, subErr := paths.OfInit(e.c.rec.Pid)
	if subErr != nil {
		return err
	}
	return conn.Attach(unit, path.Join(within, sub[""]), e.child.Pid)
}

// entersAs returns the sub-cgroups that a further process enters: those that the caller names,
// else where init is in a container with a cgroup of its own to manage, since the one above may
// have no processes then.
func (e *execution) entersAs(sub cgroup.Sub) cgroup.Sub {
	if len(sub) > 0 || e.c.rec.Annotations[cgroup.DelegateAnnotation] == "" {
		return sub
	}
	if of, err := cgroup.Paths(e.c.rec.Cgroup.Paths).OfInit(e.c.rec.Pid); err == nil {
		return of
	}
	return sub // init has ended, or gone elsewhere: what comes says so
}

// explainEntry adds to err, when it is an entryError, how the caller comes in.
func (e *execution) explainEntry(err error) error {
	if !errors.As(err, new(entryError)) || seat.HostRoot() {
		return err
	}
	return fmt.Errorf("%w: the caller may move no process from its own cgroup to the container's; start the runtime by "+
		"systemd-run --user --scope, or create the container with --cgroup-manager systemd", err)
}
