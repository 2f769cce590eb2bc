package cgroup

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
)

// ErrTaken is returned when the container's cgroup has been removed, and what is in its
// place belongs to somebody else.
var ErrTaken = errors.New("the container has no cgroup any more: what is in its place is another's")

// Inodes are the numbers of a container's directories by hierarchy. A path may be another
// container's later: one of the same cgroupsPath, or of the same id in another state
// directory. A number of a hierarchy is not given twice. The device is not compared: it is
// that of a mount, and differs by cgroup namespace. A hierarchy without a number is that of
// an old record, or of a create that has not come so far, and counts as the container's.
type Inodes map[string]uint64

// has reports whether dir is there, and is the container's in the hierarchy name.
func (i Inodes) has(name, dir string) bool {
	ino, err := cgroupfs.Inode(unix.AT_FDCWD, dir)
	if err != nil {
		return false
	}
	want, known := i[name]
	return !known || ino == want
}

// taken returns ErrTaken when something is in the place of the directories, of which none
// is the container's.
func (i Inodes) taken(p Paths) error {
	other := ""
	for _, name := range p.names() {
		switch dir := p[name]; {
		case i.has(name, dir):
			return nil
		case other == "" && cgroupfs.Exists(dir):
			other = dir
		}
	}
	if other == "" {
		return nil
	}
	return fmt.Errorf("cgroup %s: %w", other, ErrTaken)
}

// own returns those of p that are the container's.
func (i Inodes) own(p Paths) Paths {
	if len(i) == 0 {
		return p
	}
	out := make(Paths, len(p))
	for name, dir := range p {
		if i.has(name, dir) {
			out[name] = dir
		}
	}
	return out
}

// InodesOf returns the numbers of the directories that are there now.
func (p Paths) InodesOf() (Inodes, error) {
	out := make(Inodes, len(p))
	for name, dir := range p {
		ino, err := cgroupfs.Inode(unix.AT_FDCWD, dir)
		if err != nil {
			return nil, fmt.Errorf("cgroup %s: %w", dir, err)
		}
		out[name] = ino
	}
	return out, nil
}
