package cgroup

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/internal/seat"
)

// Create makes the directories, parents included. A directory that is there
// already is taken when it has no members and is not frozen (ErrNotEmpty,
// ErrFrozen). No controller is enabled on v2. After an error nothing that it
// made is left.
//
// Source: runtime-spec config-linux.md "Control groups": "MUST generate an error
// if such a check fails. For example, a frozen cgroup or a non-empty cgroup."
func (p *Plan) Create() (retErr error) {
	defer func() {
		if retErr != nil {
			_ = p.Undo() // what it made is empty; the first error is the one to return
		}
	}()
	for i := range p.dirs {
		d := &p.dirs[i]
		if err := d.mkdir(); err != nil {
			return fmt.Errorf("cgroup %s: %w", d.Abs, err)
		}
		if err := d.check(); err != nil {
			return fmt.Errorf("cgroup %s: %w", d.Abs, err)
		}
		if hasController(d.name, "cpuset") {
			if err := inheritCpuset(d.Dir); err != nil {
				return fmt.Errorf("cgroup %s: %w", d.Abs, err)
			}
		}
	}
	p.created = true
	return nil
}

// mkdir makes the directory. Parents are looked at only when one is missing.
func (d *directory) mkdir() error {
	// A parent that another runtime's Undo removes at the same time is made
	// again: each such round needs one container that failed, so few do.
	for range 100 {
		err := unix.Mkdirat(d.FD, d.Path, 0o755)
		switch err {
		case nil:
			d.made = true
			return nil
		case unix.EEXIST:
			return nil
		case unix.EINTR:
		case unix.ENOENT:
			if err := d.mkdirAbove(); err != nil {
				return err
			}
		default:
			return fmt.Errorf("mkdir: %w", err)
		}
	}
	return fmt.Errorf("mkdir: a parent is removed again and again: %w", unix.ENOENT)
}

func (d *directory) mkdirAbove() error {
	for i := range len(d.Path) {
		if d.Path[i] != '/' {
			continue
		}
		err := unix.Mkdirat(d.FD, d.Path[:i], 0o755)
		switch err {
		case nil:
			d.above = append(d.above, d.Path[:i])
		case unix.EEXIST:
		case unix.ENOENT:
			return nil // removed between two steps: mkdir comes here again
		default:
			return fmt.Errorf("mkdir %s: %w", d.Path[:i], err)
		}
	}
	return nil
}

// usable refuses a directory that somebody else has made, as root for a container of the
// same id, before a look at who is in there.
func (d *directory) usable() error {
	if seat.HostRoot() {
		return nil
	}
	if err := unix.Faccessat(d.FD, d.Path+"/cgroup.procs", unix.W_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("it is there, and not the caller's: %w", err)
	}
	return nil
}

// check refuses a directory that is in use or frozen.
func (d *directory) check() error {
	if !d.made {
		if err := d.usable(); err != nil {
			return err
		}
		l, err := survey(d.Abs, d.name == "")
		if err != nil {
			return err
		}
		// A thread of the caller's own that has forked there is about to end.
		if n := len(l.members) + len(without(l.strangers, os.Getpid())); n > 0 {
			return fmt.Errorf("%w: %d process(es) found", ErrNotEmpty, n)
		}
	}
	// Its process would be born frozen, and nobody would know to thaw it.
	name, bad := "", ""
	switch {
	case d.name == "":
		name, bad = "cgroup.events", "frozen 1"
	case hasController(d.name, "freezer"):
		name, bad = "freezer.state", "FR" // FROZEN, FREEZING
	default:
		return nil
	}
	text, err := d.ReadLine(name)
	if err != nil && !cgroupfs.IsGone(err) {
		return err
	}
	if strings.Contains(text, bad) {
		return ErrFrozen
	}
	return nil
}

// Undo takes Create back, with what is born in the cgroups since. After a Create
// that failed it touches no process: they are others'. It kills the members,
// removes the directories that Create made and no
// others, as Manager.Remove does, and then the parents that it made when they are
// empty. (A later delete, which works from the record, leaves parents, as runc
// does: by then others may count on them.)
func (p *Plan) Undo() error {
	var errs []error
	// Only then are the members the container's. They die first: a cgroup with
	// processes cannot be removed.
	if p.created {
		errs = append(errs, p.Manager().KillAll())
		p.created = false
	}
	deadline := time.Now().Add(removeWait)
	for i := range p.dirs {
		d := &p.dirs[i]
		if d.made {
			if err := removeTree(d.Abs, d.name == "", deadline); err != nil {
				errs = append(errs, err)
				continue
			}
			d.made = false
		}
		for len(d.above) > 0 {
			last := len(d.above) - 1
			if unix.Unlinkat(d.FD, d.above[last], unix.AT_REMOVEDIR) != nil {
				break // in use by others
			}
			d.above = d.above[:last]
		}
	}
	return errors.Join(errs...)
}
