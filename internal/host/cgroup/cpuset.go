package cgroup

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
)

// Taken explains an error of a write to a cpuset of d, the set "cpus" or "mems": what other
// cgroups have for themselves it cannot have. Empty is no explanation.
func Taken(d cgroupfs.Dir, set string, err error) string {
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EBUSY) {
		return ""
	}
	list := d.Exclusive(set)
	if len(list) == 0 {
		return ""
	}
	what := "processors"
	if set == "mems" {
		what = "memory nodes"
	}
	return fmt.Sprintf(" (%s are taken exclusively by the cgroup %s; give linux.resources.cpu.%s without them)",
		what, strings.Join(list, " and "), set)
}

// inheritCpuset copies to the v1 cpuset dir the processors and memory nodes of its
// parents where it has none: no task can join it before
// (write to tasks: no space left on device). Parents without are given theirs
// first. What the container is given of its own is taken in the place of that, since others
// may have what the parents have exclusively; where it is refused, the limits say so later.
//
// Source: cpuset(7), ENOSPC; kernel cgroup-v1/cpusets.rst.
func inheritCpuset(dir cgroupfs.Dir, own map[string]string) error {
	for _, set := range [...]string{"cpus", "mems"} {
		name := "cpuset." + set
		if _, err := inherit(dir, name, own[set]); errors.Is(err, unix.ENOENT) {
			name = set // mounted with "noprefix", as Android does
			if _, err := inherit(dir, name, own[set]); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
	}
	return nil
}

// inherit returns the value of name in dir, which has own, or a copy from above, when it
// had none. The depth is that of the path, which Plan bounds.
func inherit(dir cgroupfs.Dir, name, own string) (string, error) {
	file := name
	if dir.Path != "" {
		file = dir.Path + "/" + name
	}
	text, err := cgroupfs.ReadFile(dir.FD, file)
	if err != nil {
		return "", err
	}
	if text = strings.TrimSpace(text); text != "" || dir.Path == "" {
		return text, nil
	}
	parent := cgroupfs.Dir{FD: dir.FD, Path: dir.Path[:max(0, strings.LastIndexByte(dir.Path, '/'))], Abs: path.Dir(dir.Abs)}
	above, err := inherit(parent, name, "")
	if err != nil || above == "" {
		return "", err
	}
	if own != "" && cgroupfs.WriteFile(dir.FD, file, own) == nil {
		return own, nil
	}
	if err := cgroupfs.WriteFile(dir.FD, file, above); err != nil {
		return "", fmt.Errorf("%w%s", err, Taken(dir, strings.TrimPrefix(name, "cpuset."), err))
	}
	return above, nil
}
