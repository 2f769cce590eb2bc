package cgroup

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// enable enables in the cgroups above a v2 directory the controllers that the
// hierarchy's root has and the directory lacks. What fails is left: put tells it
// when a limit needs it.
func (c *place) enable() {
	root, err := readLine(c.fd, "cgroup.controllers")
	if err != nil {
		return
	}
	own, err := readLine(c.fd, c.rel+"/cgroup.controllers")
	if err != nil {
		return
	}
	var missing []string
	for name := range strings.FieldsSeq(root) {
		if !lists(own, name) {
			missing = append(missing, "+"+name)
		}
	}
	if len(missing) == 0 {
		return
	}
	for end := -1; end < len(c.rel); {
		file := "cgroup.subtree_control"
		if end > 0 {
			file = c.rel[:end] + "/" + file
		}
		w, err := openWriter(c.fd, file)
		if err != nil {
			return
		}
		// All or none: one that cannot be enabled takes the others with it.
		if len(missing) == 1 || w.write(strings.Join(missing, " ")) != nil {
			for _, name := range missing {
				_ = w.write(name)
			}
		}
		w.close()
		next := strings.IndexByte(c.rel[end+1:], '/')
		if next < 0 {
			return
		}
		end += 1 + next
	}
}

// lists says whether the words of text have name.
func lists(text, name string) bool {
	for word := range strings.FieldsSeq(text) {
		if word == name {
			return true
		}
	}
	return false
}

// offer enables controller for the v2 cgroup at the absolute path dir in all
// cgroups above it. offered is false when it was enabled already, and on v1. It
// goes up as far as there are cgroups, and is for when something is amiss.
func offer(dir, controller string) (offered bool, err error) {
	text, err := readLine(unix.AT_FDCWD, dir+"/cgroup.controllers")
	if errors.Is(err, unix.ENOENT) && exists(dir) {
		return false, nil // v1
	}
	if err != nil {
		return false, fmt.Errorf("cgroup %s: %w", dir, err)
	}
	if lists(text, controller) {
		return false, nil
	}
	above := dir[:strings.LastIndexByte(dir, '/')]
	if _, err := readLine(unix.AT_FDCWD, above+"/cgroup.controllers"); err != nil {
		return false, fmt.Errorf("%w: %s: %s/cgroup.controllers does not have it", ErrNoController, controller, dir)
	}
	if _, err := offer(above, controller); err != nil {
		return false, err
	}
	file := above + "/cgroup.subtree_control"
	err = writeFile(unix.AT_FDCWD, file, "+"+controller)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.EBUSY):
		return false, fmt.Errorf("%w: %s: %w: %s has processes of its own, which have to move to a cgroup below it first",
			ErrNoController, controller, err, above)
	case errors.Is(err, unix.EOPNOTSUPP):
		return false, fmt.Errorf("%w: %s: %w: %s is threaded", ErrNoController, controller, err, above)
	}
	return false, fmt.Errorf("%w: %s: enable it for %s: %w", ErrNoController, controller, above, err)
}
