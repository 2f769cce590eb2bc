package cgroup

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
)

// inheritCpuset copies to the v1 cpuset dir the processors and memory nodes of its
// parents where it has none: no task can join it before
// (write to tasks: no space left on device). Parents without are given theirs
// first.
//
// Source: cpuset(7), ENOSPC; kernel cgroup-v1/cpusets.rst.
func inheritCpuset(dir cgroupfs.Dir) error {
	for _, file := range [...]string{"cpus", "mems"} {
		name := "cpuset." + file
		if _, err := inherit(dir.FD, dir.Path, name); errors.Is(err, unix.ENOENT) {
			name = file // mounted with "noprefix", as Android does
			if _, err := inherit(dir.FD, dir.Path, name); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
	}
	return nil
}

// inherit returns the value of name in rel, which it has copied from above when
// rel had none. The depth is that of the path, which Plan bounds.
func inherit(root int, rel, name string) (string, error) {
	file := name
	if rel != "" {
		file = rel + "/" + name
	}
	text, err := cgroupfs.ReadFile(root, file)
	if err != nil {
		return "", err
	}
	if text = strings.TrimSpace(text); text != "" || rel == "" {
		return text, nil
	}
	above, err := inherit(root, rel[:max(0, strings.LastIndexByte(rel, '/'))], name)
	if err != nil || above == "" {
		return "", err
	}
	return above, cgroupfs.WriteFile(root, file, above)
}
