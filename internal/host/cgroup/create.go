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

// Create makes the directories, parents included. A directory that is there already is
// refused when it has members or is frozen (ErrNotEmpty, ErrFrozen). Else it is removed and
// made anew: it may be that of a container that has ended, whose delete would take the new
// one's processes for its own, or somebody else's, who could kill them by its files. Where
// the caller may not do so it is taken as it is, if it is the caller's or root's. No
// controller is enabled on v2. After an error nothing that it made is left.
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
		if err := d.make(); err != nil {
			return fmt.Errorf("cgroup %s: %w", d.Abs, err)
		}
		if hasController(d.name, "cpuset") {
			if err := inheritCpuset(d.Dir, p.cpuset); err != nil {
				return fmt.Errorf("cgroup %s: %w", d.Abs, err)
			}
		}
	}
	p.created = true
	return nil
}

// remakes bounds how often a directory is made that another runtime makes too.
const remakes = 10

// make makes the directory, anew where it is there already, or takes it as it is.
func (d *directory) make() (err error) {
	for range remakes {
		if err = d.mkdir(); err != nil {
			return err
		}
		if err = d.check(); err != nil {
			return err
		}
		if d.made {
			return d.identify()
		}
		if err = removeTree(d.Abs, d.name == "", time.Now().Add(clearWait)); err != nil {
			return d.take(err)
		}
	}
	return fmt.Errorf("%w: it is made by others again and again", ErrNotEmpty)
}

// take takes the directory that is there as it is, when it could not be removed for reason.
func (d *directory) take(reason error) error {
	switch {
	case cgroupfs.IsPermission(reason), errors.Is(reason, unix.EROFS), errors.Is(reason, unix.EBUSY):
	default:
		return reason
	}
	if err := d.check(); err != nil {
		return err
	}
	if err := d.usable(); err != nil {
		return err
	}
	return d.identify()
}

// clearWait bounds the wait for an empty cgroup that is busy: a thread that has forked
// there is about to leave.
const clearWait = time.Second

// identify notes by what the directory is known again.
func (d *directory) identify() (err error) {
	d.ino, err = cgroupfs.Inode(d.FD, d.Path)
	return err
}

// current reports whether the directory is there and the one that was identified, if any.
func (d *directory) current() bool {
	ino, err := cgroupfs.Inode(d.FD, d.Path)
	return err == nil && (d.ino == 0 || d.ino == ino)
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

// overflowUID stands for users that a user namespace does not map.
//
// Source: user_namespaces(7), "Unmapped user and group IDs".
const overflowUID = 65534

// usable refuses a directory that somebody else has made, as root for a container of the
// same id, or a user for one of root's: by its files its owner kills, freezes and unlimits
// what is in there.
func (d *directory) usable() error {
	var st unix.Stat_t
	if err := unix.Fstatat(d.FD, d.Path, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	host := seat.HostRoot()
	// In a user namespace the host's root, who may do all that anyway, is the overflow user.
	if st.Uid != 0 && int(st.Uid) != os.Geteuid() && (host || st.Uid != overflowUID) {
		return fmt.Errorf("it is there, and belongs to user %d: remove it, or choose another linux.cgroupsPath", st.Uid)
	}
	if host {
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
		if !seat.HostRoot() { // who has no business to look at others' processes
			if err := d.usable(); err != nil {
				return err
			}
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
		dir := &p.dirs[i]
		if dir.made && !dir.current() {
			dir.made = false // removed, and made by another one
		}
		if dir.made {
			if err := removeTree(dir.Abs, dir.name == "", deadline); err != nil {
				errs = append(errs, err)
				continue
			}
			dir.made = false
		}
		for len(dir.above) > 0 {
			last := len(dir.above) - 1
			if unix.Unlinkat(dir.FD, dir.above[last], unix.AT_REMOVEDIR) != nil {
				break // in use by others
			}
			dir.above = dir.above[:last]
		}
	}
	return errors.Join(errs...)
}
