// Package cgroup places a container in the cgroups of the host: it finds what
// hierarchies there are, plans and makes the container's directories, and freezes,
// lists, kills and removes what is in them. It is the parent's side and has effects;
// the container's process is born inside, by what an Entry holds.
//
// On it stand limit, which writes linux.resources, with device for the rights to use
// devices, and stats, which counts. Do not use it for the cgroup file systems that a
// container sees: those are mounts. What systemd has to know under its driver is not
// done here either.
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

	"github.com/hutch-project/hutch/internal/cgroupfs"
)

// Root is where the host's cgroup hierarchies are mounted.
const Root = cgroupfs.Root

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
// directory that is gone is no error anywhere, and one that is another's by now, which
// its inode shows, counts as gone: nothing in it is listed, signalled, frozen or removed.
type Manager interface {
	// Paths returns the record that Load takes. The caller does not change it.
	Paths() Paths
	// Own returns those of the record's directories that are still the container's.
	Own() Paths
	// Exists reports whether one of the directories is there.
	Exists() bool
	// Pids lists the members, those of sub-cgroups included, in ascending
	// order and in the caller's pid namespace. A process is a member by its main
	// thread: on v1 others may have one of their threads there. ErrTaken is returned
	// where the container's place is another's.
	Pids() ([]int, error)
	// SignalAll sends sig to each member once, but not to the caller.
	SignalAll(sig unix.Signal) error
	// KillAll sends SIGKILL to all members so that none escapes by forking,
	// and thaws what was frozen where a frozen process would not die. It does
	// not wait for their end, and leaves the caller alone.
	KillAll() error
	// Frozen reports whether the container is paused.
	Frozen() bool
	// Freeze stops all processes of the container and of its sub-cgroups and
	// waits, at most ten seconds, until they stand still; what does not is
	// thawed again and an error. ErrCannotFreeze is returned where there is no freezer,
	// ErrTaken where the container's place is another's.
	// A cgroup with the caller in it, or with a thread of it or of another
	// process that is no member, is not frozen.
	Freeze() error
	// Thaw lets the container and all its sub-cgroups run, where the freezer
	// is there. On v1 a signal to a frozen process needs it to have effect.
	Thaw() error
	// Stuck reports whether a freezer of v1 keeps processes of the container that have
	// got SIGKILL from ending, as another of its processes may have it do again.
	Stuck() bool
	// Remove waits until the members have ended, at most ten seconds, and
	// removes the directories with their sub-cgroups. It kills nothing. The
	// error says what stays and which processes hold it.
	Remove() error
}

// Load returns the Manager of a record. An empty record is a container without
// cgroups.
func Load(p Paths, made Inodes) (Manager, error) {
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
		return v2{p[""], made}, nil
	}
	return v1{p, made}, nil
}

// Mode returns the layout that the record was made on.
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

// names returns the hierarchies of p in a fixed order, the unified one first.
func (p Paths) names() []string {
	s := make([]string, 0, len(p))
	for name := range p {
		s = append(s, name)
	}
	sort.Strings(s)
	return s
}

// With returns the directory of the hierarchy that a controller is in.
func (p Paths) With(controller string) (path string, ok bool) {
	for name, path := range p {
		if hasController(name, controller) {
			return path, true
		}
	}
	return "", false
}

// Dir returns the container's directory for the files of a controller, which on v2 is
// one for all.
func (p Paths) Dir(controller string) (dir cgroupfs.Dir, ok bool) {
	path, ok := p[""], true
	if p.Mode() != V2 {
		path, ok = p.With(controller)
	}
	return cgroupfs.At(path), ok
}

// hasController reports whether the controller c is one of the hierarchy name.
func hasController(name, c string) bool {
	for s := range strings.SplitSeq(name, ",") {
		if s == c {
			return true
		}
	}
	return false
}
