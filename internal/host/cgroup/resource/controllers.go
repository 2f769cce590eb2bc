package resource

import (
	"errors"
	"fmt"
	"iter"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
)

// enable enables in the cgroups above a v2 directory the controllers that the
// hierarchy's root has and the directory lacks. What fails is left: put reports it
// when a limit needs it.
func enable(dir cgroupfs.Dir) {
	root, err := cgroupfs.ReadLine(dir.FD, "cgroup.controllers")
	if err != nil {
		return
	}
	enabled, err := dir.ReadLine("cgroup.controllers")
	if err != nil {
		return
	}
	var missing []string
	for name := range strings.FieldsSeq(root) {
		if !lists(enabled, name) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return
	}
	for above := range parents(dir.Path) {
		if handOn(dir.FD, above, missing) != nil {
			return
		}
	}
}

// handOn enables controllers for the cgroups below a v2 directory, whose path
// ends in a slash. What fails is left, but that it is not the caller's to do so.
func handOn(dir int, above string, controllers []string) error {
	w, err := cgroupfs.OpenFile(dir, above+"cgroup.subtree_control")
	if err != nil {
		return err
	}
	defer w.Close()
	// All or none: one that cannot be enabled takes the others with it.
	if w.Write("+"+strings.Join(controllers, " +")) != nil && !occupied(dir, above) {
		for _, name := range controllers {
			_ = w.Write("+" + name)
		}
	}
	return nil
}

// parents returns the directories above rel with a slash at their end, from the
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

// occupied reports whether a v2 cgroup, which ends in a slash, has processes of its
// own and is not the first of all. Such a one takes no controller of memory or IO
// for those below it. It would take one of processors or pids, but become
// "threaded" by that, and no process can be born below it any more.
//
// Source: cgroup-v2.rst, "No Internal Process Constraint", "Threads".
func occupied(dir int, path string) bool {
	if _, err := cgroupfs.ReadLine(dir, path+"cgroup.type"); err != nil {
		return false // the first of all has none
	}
	procs, err := cgroupfs.ReadLine(dir, path+"cgroup.procs")
	return procs != "" || errors.Is(err, unix.EOPNOTSUPP)
}

// lists reports whether name is one of the words of text.
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
// goes up as far as there are cgroups, and is for when a file is missing.
func offer(dir, controller string) (offered bool, err error) {
	text, err := cgroupfs.ReadLine(unix.AT_FDCWD, dir+"/cgroup.controllers")
	if errors.Is(err, unix.ENOENT) && cgroupfs.Exists(dir) {
		return false, nil // v1
	}
	if err != nil {
		return false, fmt.Errorf("cgroup %s: %w", dir, err)
	}
	if lists(text, controller) {
		return false, nil
	}
	above := dir[:strings.LastIndexByte(dir, '/')]
	if _, err := cgroupfs.ReadLine(unix.AT_FDCWD, above+"/cgroup.controllers"); err != nil {
		return false, fmt.Errorf("%w: %s: %s/cgroup.controllers does not have it", cgroupfs.ErrNoController, controller, dir)
	}
	if _, err := offer(above, controller); err != nil {
		return false, err
	}
	if occupied(unix.AT_FDCWD, above+"/") {
		return false, fmt.Errorf("%w: %s: %w: %s has processes of its own, which have to move to a cgroup below it first",
			cgroupfs.ErrNoController, controller, unix.EBUSY, above)
	}
	if err := cgroupfs.WriteFile(unix.AT_FDCWD, above+"/cgroup.subtree_control", "+"+controller); err != nil {
		return false, fmt.Errorf("%w: %s: %w", cgroupfs.ErrNoController, controller, err)
	}
	return true, nil
}
