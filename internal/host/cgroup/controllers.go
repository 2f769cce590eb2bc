package cgroup

import (
	"errors"
	"fmt"
	"iter"
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
	all := strings.Join(missing, " ")
	for above := range parents(c.rel) {
		w, err := openWriter(c.fd, above+"cgroup.subtree_control")
		if err != nil {
			return
		}
		// All or none: one that cannot be enabled takes the others with it.
		if w.write(all) != nil && !occupied(c.fd, above) {
			for _, name := range missing {
				_ = w.write(name)
			}
		}
		w.close()
	}
}

// parents gives the directories above rel with a slash at their end, from the
// hierarchy's root, "", down.
func parents(rel string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if !yield("") {
			return
		}
		for i := range len(rel) {
			if rel[i] == '/' && !yield(rel[:i+1]) {
				return
			}
		}
	}
}

// occupied says whether a v2 cgroup, which ends in a slash, has processes of its
// own and is not the first of all. Such a one takes no controller of memory or IO
// for those below it. It would take one of processors or pids, but become
// "threaded" by that, and no process can be born below it any more.
//
// Source: cgroup-v2.rst, "No Internal Process Constraint", "Threads".
func occupied(dir int, path string) bool {
	if _, err := readLine(dir, path+"cgroup.type"); err != nil {
		return false // the first of all has none
	}
	procs, err := readLine(dir, path+"cgroup.procs")
	return procs != "" || errors.Is(err, unix.EOPNOTSUPP)
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
	if occupied(unix.AT_FDCWD, above+"/") {
		return false, fmt.Errorf("%w: %s: %w: %s has processes of its own, which have to move to a cgroup below it first",
			ErrNoController, controller, unix.EBUSY, above)
	}
	if err := writeFile(unix.AT_FDCWD, above+"/cgroup.subtree_control", "+"+controller); err != nil {
		return false, fmt.Errorf("%w: %s: %w", ErrNoController, controller, err)
	}
	return true, nil
}
