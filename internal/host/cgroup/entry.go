package cgroup

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/internal/sys"
)

// Entry is how a process enters the container's cgroups. The caller closes it.
type Entry struct {
	// Cgroup is a descriptor of the cgroup v2 directory for
	// CLONE_INTO_CGROUP, -1 without one.
	Cgroup int
	// Tasks are the "tasks" files of cgroup v1, the freezer's last; of v2, where no process
	// can be born in a cgroup, "cgroup.procs". The process writes "0" to each.
	Tasks   []int
	freezer int // index in Tasks, -1 for none
}

// Entry opens what the entry into the planned cgroups needs. born says that the process can
// be born in one of v2. Create comes before.
//
// Source: clone(2), CLONE_INTO_CGROUP; kernel cgroup-v1/cgroups.rst, 2.2
// "Attaching processes" for "0", which stands for the writer.
func (p *Plan) Entry(born bool) (*Entry, error) {
	e := &Entry{Cgroup: -1, freezer: -1, Tasks: make([]int, 0, len(p.dirs))}
	for i := range p.dirs {
		dir := &p.dirs[i]
		var fd int
		var err error
		if dir.name == "" {
			if fd, err = cgroupfs.Beneath(dir.FD, dir.Path, unix.O_PATH|unix.O_DIRECTORY); err == nil {
				e.Cgroup = fd
				err = dir.verify(fd)
			}
			if err == nil && !born {
				err = e.write()
			}
		} else if fd, err = cgroupfs.Beneath(dir.FD, dir.Path+"/tasks", unix.O_WRONLY); err == nil {
			e.Tasks = append(e.Tasks, fd)
		}
		if err != nil {
			e.Close()
			return nil, fmt.Errorf("cgroup %s: open: %w", dir.Abs, err)
		}
	}
	return e, nil
}

// Enter moves the process pid, which has one thread, into the planned cgroups, in which its
// children are born then. Create comes before.
func (p *Plan) Enter(pid int) error {
	for i := range p.dirs {
		if err := p.dirs[i].Write("cgroup.procs", strconv.Itoa(pid)); err != nil {
			return fmt.Errorf("cgroup %s: %w", p.dirs[i].Abs, err)
		}
	}
	return nil
}

// write makes Cgroup, a directory, one of the Tasks.
func (e *Entry) write() error {
	fd, err := cgroupfs.Beneath(e.Cgroup, "cgroup.procs", unix.O_WRONLY)
	if err != nil {
		return err
	}
	unix.Close(e.Cgroup)
	e.Cgroup, e.Tasks = -1, append(e.Tasks, fd)
	return nil
}

// verify returns ErrTaken when fd is not the directory that was made: of v2 a user may have
// the directory above, and so put one of theirs into its place.
func (d *directory) verify(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if d.ino != 0 && st.Ino != d.ino {
		return ErrTaken
	}
	return nil
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

// Enter opens what the birth in the recorded cgroups, or sub-cgroups of them,
// needs. born is as for Plan.Entry. The caller closes the Entry.
func (p Paths) Enter(sub Sub, born bool) (*Entry, error) {
	e := &Entry{Cgroup: -1, freezer: -1}
	used := 0
	for _, name := range p.names() {
		dir := p[name]
		for c, rest := range sub {
			if c == name || c != "" && hasController(name, c) {
				used++
				if rest != "" {
					dir += "/" + rest
				}
				break
			}
		}
		var fd int
		var err error
		if name == "" {
			fd, err = sys.Open(unix.AT_FDCWD, dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
			e.Cgroup = fd
			if err == nil && !born {
				err = e.write()
			}
		} else if fd, err = sys.Open(unix.AT_FDCWD, dir+"/tasks", unix.O_WRONLY|unix.O_NOFOLLOW, 0); err == nil {
			if hasController(name, "freezer") {
				e.freezer = len(e.Tasks)
			}
			e.Tasks = append(e.Tasks, fd)
		}
		if err != nil {
			e.Close()
			return nil, fmt.Errorf("cgroup %s: open: %w", dir, err)
		}
	}
	e.freezerLast()
	if used < len(sub) {
		e.Close()
		return nil, fmt.Errorf("invalid --cgroup argument: the container has no cgroup for one of the controllers; %s", p.hierarchies())
	}
	return e, nil
}

// freezerLast puts the freezer's file behind the others: who enters a frozen cgroup stops
// there.
func (e *Entry) freezerLast() {
	if e.freezer >= 0 {
		last := len(e.Tasks) - 1
		e.Tasks[e.freezer], e.Tasks[last] = e.Tasks[last], e.Tasks[e.freezer]
	}
}
