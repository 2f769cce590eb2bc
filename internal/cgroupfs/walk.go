package cgroupfs

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
)

const directory = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW

// Walk goes through the cgroup dir and all below it: visit is called with a
// descriptor of each directory before those below it, leave with a descriptor of
// the parent and the name after them (not for dir itself). Either may be nil. The
// first error ends the walk.
//
// A container may have made cgroups deeper than the longest path and than the
// limit of descriptors: the walk goes by descriptors, one or two at a time, and
// comes back up by "..".
func Walk(dir string, visit func(fd int) error, leave func(parent int, name string) error) error {
	cur, err := sys.Open(unix.AT_FDCWD, dir, directory, 0)
	if err != nil {
		if IsGone(err) {
			return nil
		}
		return fmt.Errorf("open %s: %w", dir, err)
	}
	defer func() { unix.Close(cur) }() // the one that is current then
	type level struct {
		name string
		todo []string
	}
	enter := func(name string) (level, error) {
		if visit != nil {
			if err := visit(cur); err != nil && !IsGone(err) {
				return level{}, err
			}
		}
		todo, err := Subdirs(cur)
		// Its owner may remove a cgroup while it is walked.
		if IsGone(err) {
			err = nil
		}
		return level{name, todo}, err
	}
	top, err := enter("")
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	for stack := []level{top}; ; {
		l := &stack[len(stack)-1]
		next := ".."
		if len(l.todo) > 0 {
			next, l.todo = l.todo[0], l.todo[1:]
		} else if len(stack) == 1 {
			return nil
		}
		fd, err := sys.Open(cur, next, directory, 0)
		if err != nil {
			// It was removed since it was listed.
			if next != ".." && IsGone(err) {
				continue
			}
			return fmt.Errorf("%s: open %s of a sub-cgroup: %w", dir, next, err)
		}
		unix.Close(cur)
		cur = fd
		if next != ".." {
			l, err := enter(next)
			if err != nil {
				return fmt.Errorf("%s: sub-cgroup %s: %w", dir, next, err)
			}
			stack = append(stack, l)
			continue
		}
		stack = stack[:len(stack)-1]
		if leave != nil {
			if err := leave(cur, l.name); err != nil && !IsGone(err) {
				return fmt.Errorf("%s: sub-cgroup %s: %w", dir, l.name, err)
			}
		}
	}
}

// Subdirs returns the names of the directories in fd. A cgroup's link count is two more than
// their number, which spares the listing of some dozen files.
func Subdirs(fd int) ([]string, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Nlink == 2 {
		return nil, err
	}
	var out []string
	buf := make([]byte, 8192)
	err := sys.ReadNames(fd, buf, func(name string) {
		if unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			out = append(out, name)
		}
	})
	return out, err
}
