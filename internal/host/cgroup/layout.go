package cgroup

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
)

// Mode is how the host mounts its cgroups.
type Mode uint8

const (
	None   Mode = iota // no hierarchy is mounted
	V1                 // one mount a hierarchy, below a tmpfs
	Hybrid             // V1, and cgroup v2 below "unified"
	V2                 // one cgroup v2 mount
)

// String returns the mode's usual name.
func (m Mode) String() string {
	switch m {
	case V1:
		return "v1"
	case Hybrid:
		return "hybrid"
	case V2:
		return "v2"
	}
	return "none"
}

// Layout is what cgroup hierarchies a host has. It holds a descriptor of each
// hierarchy's root until Close.
type Layout struct {
	Root string
	Mode Mode

	hierarchies []hierarchy
	self        string // text of /proc/self/cgroup, empty when it was not needed
}

// hierarchy is one mounted hierarchy.
type hierarchy struct {
	name string // as in /proc/self/cgroup, empty for v2
	dir  string // name of the mount point below the root, empty for the root itself
	own  string // the runtime's own cgroup, from the hierarchy's root
	fd   int    // O_PATH on the mount point
}

// Detect finds the hierarchies that are mounted on root, which is Root but for
// tests. A root that does not exist, or has no hierarchy, is a Layout of mode
// None and no error. The caller closes the Layout.
//
// No mount table is read: the file system's magic number tells v2 from v1, and
// /proc/self/cgroup names the hierarchies of v1, each of which is looked for
// where every init system mounts it: a directory named for its controllers,
// or a link for one of them. A hierarchy that is mounted elsewhere is not used.
//
// Source: cgroups(7), "/proc files"; statfs(2).
func Detect(root string) (*Layout, error) {
	return detect(root, func() (string, error) {
		text, err := cgroupfs.ReadFile(unix.AT_FDCWD, "/proc/self/cgroup")
		if errors.Is(err, unix.ENOENT) {
			return "", nil // a kernel without cgroups
		}
		return text, err
	})
}

func detect(root string, self func() (string, error)) (*Layout, error) {
	layout := &Layout{Root: root}
	fd, magic, err := openMount(unix.AT_FDCWD, root)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return layout, nil
	case err != nil:
		return nil, fmt.Errorf("open %s: %w", root, err)
	case magic == unix.CGROUP2_SUPER_MAGIC:
		layout.Mode = V2
		layout.hierarchies = []hierarchy{{fd: fd}}
		return layout, nil
	}
	defer unix.Close(fd)
	if layout.self, err = self(); err != nil {
		return nil, err
	}
	for line := range strings.Lines(layout.self) {
		name, own, ok := parseSelf(line)
		if !ok {
			continue
		}
		if h, ok := findMount(fd, name); ok {
			h.own = own
			layout.hierarchies = append(layout.hierarchies, h)
			if name == "" {
				layout.Mode = Hybrid
			} else {
				layout.Mode = max(layout.Mode, V1)
			}
		}
	}
	return layout, nil
}

// Close closes the descriptors.
func (l *Layout) Close() {
	for i := range l.hierarchies {
		if fd := l.hierarchies[i].fd; fd >= 0 {
			unix.Close(fd)
			l.hierarchies[i].fd = -1
		}
	}
}

// parseSelf cuts a line ID:CONTROLLERS:PATH of /proc/PID/cgroup.
func parseSelf(line string) (name, path string, ok bool) {
	_, rest, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
	if !ok {
		return "", "", false
	}
	name, path, ok = strings.Cut(rest, ":")
	return name, path, ok && strings.HasPrefix(path, "/")
}

// unifiedOf returns the cgroup v2 in the text of a /proc/PID/cgroup.
func unifiedOf(text string) (path string, ok bool) {
	for line := range strings.Lines(text) {
		if name, own, ok := parseSelf(line); ok && name == "" {
			return own, true
		}
	}
	return "", false
}

// findMount opens the mount of the hierarchy name below root.
func findMount(root int, name string) (hierarchy, bool) {
	if name == "" {
		fd, ok := openKind(root, "unified", unix.CGROUP2_SUPER_MAGIC)
		return hierarchy{name: name, dir: "unified", fd: fd}, ok
	}
	dir := strings.TrimPrefix(name, "name=")
	if fd, ok := openKind(root, dir, unix.CGROUP_SUPER_MAGIC); ok {
		return hierarchy{name: name, dir: dir, fd: fd}, true
	}
	// Mounted as "cpuacct,cpu" with a link "cpu", as some distributions do.
	for c := range strings.SplitSeq(name, ",") {
		if fd, ok := openKind(root, c, unix.CGROUP_SUPER_MAGIC); ok {
			return hierarchy{name: name, dir: realName(root, c), fd: fd}, true
		}
	}
	return hierarchy{}, false
}

// realName follows the link name below root, once, within the same directory.
func realName(root int, name string) string {
	var buf [unix.NAME_MAX + 1]byte
	n, err := unix.Readlinkat(root, name, buf[:])
	if err != nil || n == len(buf) || slices.Contains(buf[:n], '/') {
		return name
	}
	return string(buf[:n])
}

// openMount opens a directory and returns its file system's magic number.
func openMount(at int, path string) (fd int, magic int64, err error) {
	fd, err = unix.Openat(at, path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, 0, err
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		unix.Close(fd)
		return -1, 0, err
	}
	return fd, int64(st.Type), nil
}

func openKind(at int, path string, want int64) (int, bool) {
	fd, magic, err := openMount(at, path)
	if err != nil {
		return -1, false
	}
	if magic != want {
		unix.Close(fd)
		return -1, false
	}
	return fd, true
}
