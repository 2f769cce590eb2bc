package cgroup

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/internal/proc"
)

// v1 is a container's cgroups on v1, or with the name "" on hybrid: one
// directory in each hierarchy.
type v1 struct {
	paths Paths
	made  Inodes
}

func (m v1) Paths() Paths { return m.paths }

func (m v1) Own() Paths { return m.made.own(m.paths) }

func (m v1) Exists() bool {
	for name, dir := range m.paths {
		if m.made.has(name, dir) {
			return true
		}
	}
	return false
}

// with returns the directory of the hierarchy that a controller is in, if it is the
// container's.
func (m v1) with(controller string) (dir string, ok bool) {
	for name, dir := range m.paths {
		if hasController(name, controller) {
			return dir, m.made.has(name, dir)
		}
	}
	return "", false
}

// listing returns the directory whose members are the container's, and whether it is
// cgroup v2's: any would do, as all processes are born in all of them and cannot
// leave; one controller's is taken as long as it is there.
func (m v1) listing() (dir string, unified bool) {
	for _, c := range [...]string{"devices", "pids", "freezer", "memory"} {
		if dir, ok := m.with(c); ok {
			return dir, false
		}
	}
	for _, name := range m.paths.names() {
		if dir := m.paths[name]; m.made.has(name, dir) {
			return dir, name == ""
		}
	}
	return "", false
}

func (m v1) list() (listing, error) {
	dir, unified := m.listing()
	if dir == "" {
		return listing{}, nil
	}
	return survey(dir, unified)
}

func (m v1) Pids() ([]int, error) {
	l, err := m.list()
	if err == nil && len(l.members) == 0 {
		err = m.made.taken(m.paths)
	}
	return l.members, err
}

func (m v1) SignalAll(sig unix.Signal) error { return signal(m.list, sig) }

// KillAll freezes members that fork faster than they are found while they get
// their signal, and thaws all after, sub-cgroups that the container has frozen
// itself included: a frozen process of v1 does not die.
//
// With a thread of another process inside, nothing is frozen: it could be one that
// is to do the thaw, and it could not be killed either. kill comes to its end then
// too, in more rounds.
func (m v1) KillAll() error {
	dir, _ := m.listing()
	if dir == "" {
		return nil
	}
	err := kill(dir, m.list, m.stall)
	return errors.Join(err, m.thawKilled())
}

// thawnLooks is how often members that have got SIGKILL are seen thawed, and asleep in the
// kernel, before they count as that for good: what else they do is a write to the freezer that
// was under way, and waits for a processor.
const thawnLooks = 3

// thawKilled thaws the members, which all have got SIGKILL, until they stay thawed.
func (m v1) thawKilled() error {
	deadline := time.Now().Add(freezeWait)
	for looks := 0; ; {
		if err := m.Thaw(); err != nil {
			return err
		}
		list, err := m.list()
		if err != nil || len(list.others()) == 0 {
			return err
		}
		asleep := !slices.ContainsFunc(list.others(), func(pid int) bool { return !proc.Uninterruptible(pid) })
		if looks++; m.Stuck() || !asleep { // what is frozen is asleep, too
			looks = 0
		}
		switch {
		case looks == thawnLooks:
			return nil
		case !time.Now().Before(deadline):
			return fmt.Errorf("the processes %v are frozen again whenever they are thawed", list.others())
		}
		time.Sleep(time.Millisecond)
	}
}

func (m v1) Stuck() bool {
	dir, ok := m.with("freezer")
	if !ok {
		return false
	}
	stuck := false
	err := cgroupfs.Walk(dir, func(fd int) error {
		text, err := cgroupfs.ReadLine(fd, "freezer.state")
		stuck = stuck || strings.HasPrefix(text, "FR")
		return err
	}, nil)
	return err == nil && stuck
}

// stall freezes the members that l lists, where that can be and hits nobody else.
func (m v1) stall(l listing) bool {
	freezer, ok := m.with("freezer")
	if !ok || len(l.strangers) > 0 || l.hasCaller() {
		return false
	}
	return cgroupfs.WriteFile(unix.AT_FDCWD, freezer+"/freezer.state", "FROZEN") == nil
}

func (m v1) Frozen() bool {
	dir, ok := m.with("freezer")
	if !ok {
		return false
	}
	text, err := cgroupfs.ReadFile(unix.AT_FDCWD, dir+"/freezer.state")
	return err == nil && strings.HasPrefix(text, "FR") // FROZEN, FREEZING
}

func (m v1) Freeze() error {
	dir, ok := m.paths.With("freezer")
	if !ok {
		return fmt.Errorf("%w: freezer is in no mounted cgroup v1 hierarchy", ErrCannotFreeze)
	}
	if err := m.made.taken(m.paths); err != nil {
		return err
	}
	return freezeV1(dir, time.Now().Add(freezeWait))
}

func (m v1) Thaw() error {
	dir, ok := m.with("freezer")
	if !ok {
		return nil
	}
	return cgroupfs.Walk(dir, func(fd int) error { return cgroupfs.WriteFile(fd, "freezer.state", "THAWED") }, nil)
}

func (m v1) Remove() error {
	var errs []error
	deadline := time.Now().Add(removeWait) // one for all: what holds one holds them all
	for _, name := range m.paths.names() { // the unified one first: it has an event to wait for
		if !m.made.has(name, m.paths[name]) {
			continue
		}
		if err := removeTree(m.paths[name], name == "", deadline); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
