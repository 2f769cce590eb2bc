// Package rotree makes read-only detached mounts: by what is opened through one, nobody
// changes mode, owner, times and content of what lies beneath, a fifo's or a device's
// data excepted.
package rotree

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Clone returns a descriptor of a detached mount of its own of the file or directory at
// path, below dir; an empty path is dir itself. It is read-only, and has the further
// attributes, MOUNT_ATTR_*. The mount ends with the last descriptor of it, or opened
// through it.
//
// Source: open_tree(2), mount_setattr(2).
func Clone(dir int, path string, attributes uint64) (int, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if path == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	tree, err := unix.OpenTree(dir, path, flags)
	if err != nil {
		return -1, fmt.Errorf("open_tree: %w", err)
	}
	attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | attributes, Propagation: unix.MS_PRIVATE}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, attr); err != nil {
		unix.Close(tree)
		return -1, fmt.Errorf("mount_setattr: %w", err)
	}
	return tree, nil
}
