// Package cgroup places a container in the cgroups of the host: it finds what
// hierarchies there are, plans and makes the container's directories, sets limits,
// counts, freezes, and lists, kills and removes what is in them. It is the parent's
// side and has effects; the container's process is born inside, by what an Entry
// holds.
//
// Do not use it for the cgroup file systems that a container sees: those are
// mounts. What systemd has to be told under its driver is not done here either.
//
// Source: cgroups(7); kernel admin-guide/cgroup-v2.rst and cgroup-v1/;
// runtime-spec config-linux.md "Control groups".
package cgroup

import (
	"errors"
	"fmt"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is where the host's cgroup hierarchies are mounted.
const Root = "/sys/fs/cgroup"

var (
	// ErrNoCgroups is returned when a cgroup is asked for by name on a host
	// that has no cgroup hierarchy mounted.
	ErrNoCgroups = errors.New("no cgroup hierarchy is mounted on " + Root)
	// ErrNotEmpty is returned when the cgroup of a new container has processes.
	ErrNotEmpty = errors.New("container's cgroup is not empty")
	// ErrFrozen is returned when the cgroup of a new container is frozen.
	ErrFrozen = errors.New("container's cgroup unexpectedly frozen")
)

// Paths is the record of a container's cgroups: a hierarchy's name, as
// /proc/self/cgroup has it ("cpu,cpuacct", "name=systemd", "" for cgroup v2), and
// the absolute path of the container's directory in it. It is what is written
// down before the directories are made, and enough to find them again.
type Paths map[string]string

// Manager is the cgroups of one container. Its methods have no state but the
// record and the kernel's, so that two processes may hold a Manager each. A
// directory that is gone is no error anywhere.
type Manager interface {
	// Paths is the record that Load takes. The caller does not change it.
	Paths() Paths
	// Exists says whether one of the directories is there.
	Exists() bool
	// Pids lists the members, those of sub-cgroups included, in ascending
	// order and in the caller's pid namespace. A process is a member by its main
	// thread: on v1 others may have one of their threads there.
	Pids() ([]int, error)
	// SignalAll sends sig to each member once, but not to the caller.
	SignalAll(sig unix.Signal) error
	// KillAll sends SIGKILL to all members so that none escapes by forking,
	// and thaws what was frozen where a frozen process would not die. It does
	// not wait for their end, and leaves the caller alone.
	KillAll() error
	// Frozen says whether the container is paused.
	Frozen() bool
	// Freeze stops all processes of the container and of its sub-cgroups and
	// waits, at most ten seconds, until they stand still; what does not is
	// thawed again and an error. ErrCannotFreeze says that there is no freezer.
	// A cgroup with the caller in it, or with a thread of it or of another
	// process that is no member, is not frozen.
	Freeze() error
	// Update makes the writes of s in the running container. When one fails,
	// those before it are taken back to the values that the files had, and the
	// error says whether that succeeded. Values that are not changed are
	// written too, as something else may have changed the files. Device rules
	// are set only when old, the settings so far, has others; old may be nil.
	Update(old, s *Settings) error
	// Stats reads what the container has used.
	Stats() (*Stats, error)
	// OOM begins to watch for the OOM killer. ErrNoController says that the
	// container has no memory controller.
	OOM() (*OOMWatch, error)
	// OOMKills is how many processes of the container the OOM killer has
	// killed, 0 where that is not counted. The error is unix.ENOENT or ENODEV,
	// wrapped, when the cgroup that counts is gone.
	OOMKills() (int, error)
	// Thaw lets the container and all its sub-cgroups run, where the freezer
	// is there. On v1 a signal to a frozen process needs it to have effect.
	Thaw() error
	// Remove waits until the members have ended, at most ten seconds, and
	// removes the directories with their sub-cgroups. It kills nothing. The
	// error says what stays and which processes hold it.
	Remove() error
}

// Load gives the Manager of a record. An empty record is a container without
// cgroups.
func Load(p Paths) (Manager, error) {
	for name, dir := range p {
		if !filepath.IsAbs(dir) || filepath.Clean(dir) != dir || dir == "/" {
			return nil, fmt.Errorf("recorded cgroup %q of hierarchy %q: not a clean absolute path", dir, name)
		}
		// All processes of the host are in the root of a hierarchy.
		if dir == Root || dir == Root+"/unified" || name != "" && filepath.Dir(dir) == Root {
			return nil, fmt.Errorf("recorded cgroup %q of hierarchy %q: is the whole hierarchy", dir, name)
		}
	}
	switch p.Mode() {
	case None:
		return none{}, nil
	case V2:
		return v2(p[""]), nil
	}
	return v1{p}, nil
}

// Mode is the layout that the record was made on, for NewSettings.
func (p Paths) Mode() Mode {
	_, unified := p[""]
	switch {
	case len(p) == 0:
		return None
	case unified && len(p) == 1:
		return V2
	case unified:
		return Hybrid
	}
	return V1
}

// names gives the hierarchies of p in a fixed order, the unified one first.
func (p Paths) names() []string {
	s := make([]string, 0, len(p))
	for name := range p {
		s = append(s, name)
	}
	sort.Strings(s)
	return s
}

// with gives the directory of the hierarchy that has controller.
func (p Paths) with(controller string) (string, bool) {
	for name, dir := range p {
		for c := range strings.SplitSeq(name, ",") {
			if c == controller {
				return dir, true
			}
		}
	}
	return "", false
}
