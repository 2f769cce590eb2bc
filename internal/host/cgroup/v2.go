package cgroup

import (
	"errors"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
)

// v2 is a container's cgroup v2: one directory.
type v2 struct {
	dir  string
	made Inodes
}

func (m v2) Paths() Paths { return Paths{"": m.dir} }
func (m v2) Own() Paths   { return m.made.own(m.Paths()) }
func (m v2) Exists() bool { return m.made.has("", m.dir) }

func (m v2) Remove() error {
	if !m.Exists() {
		return nil
	}
	return removeTree(m.dir, true, time.Now().Add(removeWait))
}

func (m v2) list() (listing, error) {
	if !m.Exists() {
		return listing{}, nil
	}
	return survey(m.dir, true)
}

func (m v2) Pids() ([]int, error) {
	l, err := m.list()
	if err == nil && len(l.members) == 0 {
		err = m.made.taken(m.Paths())
	}
	return l.members, err
}

func (m v2) SignalAll(sig unix.Signal) error { return signal(m.list, sig) }

// KillAll leaves an empty cgroup alone: since Linux 6.13 cgroup.kill raises a
// number that a child of CLONE_INTO_CGROUP compares with that of its parent's
// cgroup, so that whoever is born there afterwards is killed at once (kernel
// cgroup.c, cgroup_css_set_fork and kill_seq; seen on 6.18).
//
// It uses cgroup.kill, which kills a whole subtree at once, forks included, but not
// a process whose main thread has ended: the kernel sends the signal to that thread
// alone (seen on 6.1 and 6.18). So kill follows, which is all that there is for
// threaded cgroups, before 5.14, and where the caller is inside.
//
// Source: cgroup-v2.rst, cgroup.kill. Frozen processes are killed too; kernel
// cgroup.c, __cgroup_kill.
func (m v2) KillAll() error {
	if !m.Exists() {
		return nil
	}
	events, err := cgroupfs.ReadFile(unix.AT_FDCWD, m.dir+"/cgroup.events")
	if err == nil && strings.Contains(events, "populated 0") {
		return nil
	}
	if l, err := m.list(); err != nil || !l.hasCaller() {
		err := cgroupfs.WriteFile(unix.AT_FDCWD, m.dir+"/cgroup.kill", "1")
		if err != nil && cgroupfs.Exists(m.dir) && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EOPNOTSUPP) {
			return err
		}
	}
	return kill(m.dir, m.list, nil)
}

// Frozen reports the container's own freezing, not for that of a cgroup above.
func (m v2) Frozen() bool {
	if !m.Exists() {
		return false
	}
	text, err := cgroupfs.ReadFile(unix.AT_FDCWD, m.dir+"/cgroup.freeze")
	return err == nil && strings.HasPrefix(text, "1")
}

func (m v2) Freeze() error {
	if err := m.made.taken(m.Paths()); err != nil {
		return err
	}
	if l, err := m.list(); err == nil && l.hasCaller() {
		return errCallerInside(m.dir)
	}
	return freezeV2(m.dir)
}

// Stuck is false: a frozen process of v2 ends by SIGKILL.
func (m v2) Stuck() bool { return false }

func (m v2) Thaw() error {
	if !m.Exists() {
		return nil
	}
	return cgroupfs.Walk(m.dir, func(fd int) error { return cgroupfs.WriteFile(fd, "cgroup.freeze", "0") }, nil)
}
