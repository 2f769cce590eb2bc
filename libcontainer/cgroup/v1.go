package cgroup

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// v1 is a container's cgroups on v1, or with the name "" on hybrid: one
// directory in each hierarchy.
type v1 struct{ paths Paths }

func (m v1) Paths() Paths { return m.paths }

func (m v1) Exists() bool {
	for _, dir := range m.paths {
		if exists(dir) {
			return true
		}
	}
	return false
}

// listing is the directory whose members are the container's: any would do, as
// all processes are born in all of them and cannot leave; one controller's is
// taken as long as it is there.
func (m v1) listing() string {
	for _, c := range [...]string{"devices", "pids", "freezer", "memory"} {
		if dir, ok := m.paths.with(c); ok && exists(dir) {
			return dir
		}
	}
	for _, name := range m.paths.names() {
		if dir := m.paths[name]; exists(dir) {
			return dir
		}
	}
	return ""
}

func (m v1) Pids() ([]int, error) {
	dir := m.listing()
	if dir == "" {
		return nil, nil
	}
	return members(dir)
}

// KillAll freezes the members while they get their signal, so that they cannot
// fork faster than they are found, and thaws them after, sub-cgroups that the
// container has frozen itself included: a frozen process of v1 does not die.
func (m v1) KillAll() error {
	dir := m.listing()
	if dir == "" {
		return nil
	}
	freezer, ok := m.paths.with("freezer")
	if ok {
		// Without it killMembers still comes to its end, in more rounds.
		_ = writeFile(unix.AT_FDCWD, freezer+"/freezer.state", "FROZEN")
	}
	err := killMembers(dir)
	if ok {
		err = errors.Join(err, m.Thaw())
	}
	return err
}

func (m v1) Frozen() bool {
	dir, ok := m.paths.with("freezer")
	if !ok {
		return false
	}
	text, err := readFile(unix.AT_FDCWD, dir+"/freezer.state")
	return err == nil && strings.HasPrefix(text, "FR") // FROZEN, FREEZING
}

func (m v1) Freeze() error {
	dir, ok := m.paths.with("freezer")
	if !ok {
		return fmt.Errorf("%w: freezer is in no mounted cgroup v1 hierarchy", ErrCannotFreeze)
	}
	return freezeV1(dir)
}

func (m v1) Update(old, s *Settings) error { return update(m.find, false, old, s) }

func (m v1) Stats() (*Stats, error) { return statsV1(m.paths) }

// find gives the directory in the hierarchy of a controller.
func (m v1) find(controller string) (spot, bool) {
	dir, ok := m.paths.with(controller)
	return spot{unix.AT_FDCWD, dir, dir}, ok
}

func (m v1) Thaw() error {
	dir, ok := m.paths.with("freezer")
	if !ok {
		return nil
	}
	return walk(dir, func(fd int) error { return writeFile(fd, "freezer.state", "THAWED") }, nil)
}

func (m v1) Remove() error {
	var errs []error
	deadline := time.Now().Add(removeWait) // one for all: what holds one holds them all
	for _, name := range m.paths.names() { // the unified one first: it has an event to wait for
		if err := removeTree(m.paths[name], name == "", deadline); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
