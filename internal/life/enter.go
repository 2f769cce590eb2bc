package life

import (
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/systemd"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/seat"
)

// entrance is a way of exec's process into the container's cgroups. The zero value is the
// usual one: the process is born there or, on cgroup v1, enters them first of all.
type entrance struct {
	sub       cgroup.Sub // below the container's cgroups; empty for these themselves
	bySystemd bool       // systemd moves the process there, while it is the caller's
	outside   bool       // it is made outside of the limit of tasks, and moved; see atLimit
}

// enter makes the process and serves it until it has executed its program. It enters the
// sub-cgroups sub. Where a way in is closed the next one is tried: what was made is gone by
// then, and nothing has been handed over.
func (e *execution) enter(sub cgroup.Sub) error {
	// What only systemd could do for the process before this one it does for this one, too. A
	// terminal cannot be handed over twice: whether there is room for its process is looked
	// for, not tried.
	e.way = entrance{sub: sub, bySystemd: e.way.bySystemd,
		outside: e.p.Terminal && len(sub) == 0 && !e.cgroups().Room(2)}
	var full error // that a limit of tasks left no room: what fails behind it says less
	for {
		err := e.start()
		if err == nil {
			return nil
		}
		next, ok := e.wayAfter(err, sub)
		switch {
		case !ok && full != nil:
			return fmt.Errorf("%w; a limit of tasks is reached: linux.resources.pids.limit, one of a cgroup above, or RLIMIT_NPROC", full)
		case !ok:
			return e.explainEntry(err)
		case next.outside && !e.way.outside:
			full = err
		}
		e.drop()
		e.way = next
	}
}

// wayAfter returns the way in that is tried after e.way, which has failed with err, and false
// where there is none. Each leads on, to a sub-cgroup, to systemd or to the outside of the
// limit, and none back.
func (e *execution) wayAfter(err error, sub cgroup.Sub) (next entrance, ok bool) {
	next = e.way
	switch {
	case len(e.way.sub) == 0 && e.barred(err):
		// Init has gone to a sub-cgroup: those above take no processes then.
		var noErr error
		next.sub, noErr = e.cgroups().OfInit(e.c.rec.Pid)
		return next, noErr == nil && len(next.sub) > 0
	case !e.way.bySystemd && e.mayAttach(err):
		next.sub, next.bySystemd = sub, true
		return next, true
	case !e.way.outside && len(sub) == 0 && e.canMove(err):
		next.sub, next.outside = nil, true
		return next, true
	}
	return next, false
}

// cgroups returns the container's cgroups.
func (e *execution) cgroups() cgroup.Paths { return cgroup.Paths(e.c.rec.Cgroup.Paths) }

// barred reports whether err is that a cgroup takes no process: the clone's, or where it
// cannot be born there, that of the process's first step.
func (e *execution) barred(err error) bool {
	var failed *program.Error
	return errors.Is(err, unix.EBUSY) && (e.child == nil || errors.As(err, &failed) && failed.Note.Element.F == compile.CgroupElement)
}

// mayAttach reports whether err is that the caller may not enter the container's cgroups,
// and whether systemd, which has made them, can take a process there: the cgroup above both
// is not the caller's where one of them is in a login session, the other one below the
// user's service manager.
//
// Source: cgroup-v2.rst, "Delegation Containment"; clone(2), EACCES of CLONE_INTO_CGROUP.
func (e *execution) mayAttach(err error) bool {
	return errors.As(err, new(entryError)) && e.c.rec.Cgroup.Unit != "" && e.cgroups().Mode() == cgroup.V2
}

// canMove reports whether err is that a limit of tasks was reached, and nothing was handed
// over that cannot be so twice.
func (e *execution) canMove(err error) bool {
	return errors.Is(err, unix.EAGAIN) && !e.p.Terminal && e.c.hasCgroup()
}

// start makes the process and serves it until it has executed its program, in one try.
func (e *execution) start() (err error) {
	// Before the process is killed, which has no effect in a frozen cgroup v1.
	defer func() { err = errors.Join(err, e.thaw()) }()
	if err = e.spawn(); err == nil {
		e.phase("set up")
		err = e.server().serve()
	}
	if e.child != nil && err != nil {
		// In a namespace of the image's making much may fail before init is looked at.
		if left := new(leftError); errors.As(stayed(e.c.rec), &left) {
			return left
		}
	}
	return e.c.explainExec(explainIDs(e.explainJoin(explainInFlight(explainMemory(err)))))
}

// drop ends the process that was made, if any.
func (e *execution) drop() {
	if e.child != nil {
		e.child.Kill()
		e.child.Close()
		e.child = nil
	}
}

// entry opens what the process enters the container's cgroups, and its resctrl group, by.
func (e *execution) entry() (*cgroup.Entry, error) {
	paths, sub := e.cgroups(), e.way.sub
	if e.way.outside {
		paths, e.atLimit.procs = paths.Uncounted()
	}
	if e.way.bySystemd {
		paths, sub = nil, nil
	}
	born := !seat.Calls().Clone3
	entry, err := paths.Enter(sub, born)
	if errors.Is(err, unix.ENOENT) && len(sub) == 0 { // init has been moved, and what is recorded removed
		if now, nowErr := paths.Now(e.c.rec.Pid); nowErr == nil {
			entry, err = now.Enter(nil, born)
		}
	}
	if err != nil {
		return nil, err
	}
	if g := e.c.rdtGroup(); g != nil {
		tasks, err := g.Tasks()
		if err != nil {
			entry.Close()
			return nil, err
		}
		entry.Tasks = append(tasks, entry.Tasks...) // the freezer is the last
	}
	return entry, nil
}

// toUnit has systemd move the process, which waits: it is still the caller's then, and in no
// namespace of the container.
func (e *execution) toUnit() error {
	conn, err := e.r.dialSystemd(e.c.rec.Cgroup.User)
	if err != nil {
		return err
	}
	defer conn.Close()
	unit := systemd.Unit{Name: e.c.rec.Cgroup.Unit}
	within := e.cgroups().Within(unit.Name)
	err = conn.Attach(unit, path.Join(within, e.way.sub[""]), e.child.Pid)
	if err == nil || len(e.way.sub) > 0 {
		return err
	}
	// Init may have gone to a sub-cgroup, and then only such ones take processes.
	sub, subErr := e.cgroups().OfInit(e.c.rec.Pid)
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
	if of, err := e.cgroups().OfInit(e.c.rec.Pid); err == nil {
		return of
	}
	return sub // init has ended, or gone elsewhere: what comes says so
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

// explainEntry adds to err, when it is an entryError, how the caller comes in.
func (e *execution) explainEntry(err error) error {
	if !errors.As(err, new(entryError)) || seat.HostRoot() {
		return err
	}
	return fmt.Errorf("%w: the caller may move no process from its own cgroup to the container's; start the runtime by "+
		"systemd-run --user --scope, or create the container with --cgroup-manager systemd", err)
}
