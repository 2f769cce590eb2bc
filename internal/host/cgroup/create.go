package cgroup

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

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
			_ = p.Undo() // what it made is empty; the first error is the one to tell
		}
	}()
	for i := range p.places {
		c := &p.places[i]
		if err := c.mkdir(); err != nil {
			return fmt.Errorf("cgroup %s: %w", c.abs, err)
		}
		if err := c.check(); err != nil {
			return fmt.Errorf("cgroup %s: %w", c.abs, err)
		}
		if hasController(c.name, "cpuset") {
			if err := inheritCpuset(c.fd, c.rel); err != nil {
				return fmt.Errorf("cgroup %s: %w", c.abs, err)
			}
		}
	}
	p.created = true
	return nil
}

// mkdir makes the directory. Parents are looked at only when one is missing.
func (c *place) mkdir() error {
	// A parent that another runtime's Undo removes at the same time is made
	// again: each such round needs one container that failed, so few do.
	for range 100 {
		err := unix.Mkdirat(c.fd, c.rel, 0o755)
		switch err {
		case nil:
			c.made = true
			return nil
		case unix.EEXIST:
			return nil
		case unix.EINTR:
		case unix.ENOENT:
			if err := c.mkdirAbove(); err != nil {
				return err
			}
		default:
			return fmt.Errorf("mkdir: %w", err)
		}
	}
	return fmt.Errorf("mkdir: a parent is removed again and again: %w", unix.ENOENT)
}

func (c *place) mkdirAbove() error {
	for i := range len(c.rel) {
		if c.rel[i] != '/' {
			continue
		}
		err := unix.Mkdirat(c.fd, c.rel[:i], 0o755)
		switch err {
		case nil:
			c.above = append(c.above, c.rel[:i])
		case unix.EEXIST:
		case unix.ENOENT:
			return nil // removed between two steps: mkdir comes here again
		default:
			return fmt.Errorf("mkdir %s: %w", c.rel[:i], err)
		}
	}
	return nil
}

// usable refuses a directory that somebody else has made, as root for a container of the
// same id, before a look at who is in there.
func (c *place) usable() error {
	if seat.HostRoot() {
		return nil
	}
	if err := unix.Faccessat(c.fd, c.rel+"/cgroup.procs", unix.W_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("it is there, and not the caller's: %w", err)
	}
	return nil
}

// check refuses a directory that is in use or frozen.
func (c *place) check() error {
	if !c.made {
		if err := c.usable(); err != nil {
			return err
		}
		l, err := survey(c.abs, c.name == "")
		if err != nil {
			return err
		}
		// A thread of the caller's own that has forked there is about to end.
		if n := len(l.members) + len(without(l.strangers, os.Getpid())); n > 0 {
			return fmt.Errorf("%w: %d process(es) found", ErrNotEmpty, n)
		}
	}
	name, bad := "", ""
	switch {
	case c.name == "":
		name, bad = "cgroup.events", "frozen 1"
	case hasController(c.name, "freezer"):
		name, bad = "freezer.state", "FR" // FROZEN, FREEZING
	default:
		return nil
	}
	text, err := readLine(c.fd, c.rel+"/"+name)
	if err != nil && !gone(err) {
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
	if p.created {
		errs = append(errs, p.Manager().KillAll())
		p.created = false
	}
	deadline := time.Now().Add(removeWait)
	for i := range p.places {
		c := &p.places[i]
		if c.made {
			if err := removeTree(c.abs, c.name == "", deadline); err != nil {
				errs = append(errs, err)
				continue
			}
			c.made = false
		}
		for len(c.above) > 0 {
			last := len(c.above) - 1
			if unix.Unlinkat(c.fd, c.above[last], unix.AT_REMOVEDIR) != nil {
				break // in use by others
			}
			c.above = c.above[:last]
		}
	}
	return errors.Join(errs...)
}

// Entry is how a process enters the container's cgroups. The caller closes it.
type Entry struct {
	// Cgroup is a descriptor of the cgroup v2 directory for
	// CLONE_INTO_CGROUP, -1 without one.
	Cgroup int
	// Tasks are the "tasks" files of cgroup v1, the freezer's last. The process
	// writes "0" to each.
	Tasks   []int
	freezer int // index in Tasks, -1 for none
}

// Entry opens what the entry into the planned cgroups needs. Create comes before.
//
// Source: clone(2), CLONE_INTO_CGROUP; kernel cgroup-v1/cgroups.rst, 2.2
// "Attaching processes" for "0", which stands for the writer.
func (p *Plan) Entry() (*Entry, error) {
	e := &Entry{Cgroup: -1, freezer: -1, Tasks: make([]int, 0, len(p.places))}
	for i := range p.places {
		c := &p.places[i]
		var fd int
		var err error
		if c.name == "" {
			fd, err = beneath(c.fd, c.rel, unix.O_PATH|unix.O_DIRECTORY)
			e.Cgroup = fd
		} else if fd, err = beneath(c.fd, c.rel+"/tasks", unix.O_WRONLY); err == nil {
			e.Tasks = append(e.Tasks, fd)
		}
		if err != nil {
			e.Close()
			return nil, fmt.Errorf("cgroup %s: open: %w", c.abs, err)
		}
	}
	return e, nil
}

// Close closes the descriptors.
func (e *Entry) Close() {
	if e.Cgroup >= 0 {
		unix.Close(e.Cgroup)
		e.Cgroup = -1
	}
	for _, fd := range e.Tasks {
		unix.Close(fd)
	}
	e.Tasks = nil
}

// hasController says whether the hierarchy name has the controller c.
func hasController(name, c string) bool {
	for s := range strings.SplitSeq(name, ",") {
		if s == c {
			return true
		}
	}
	return false
}
