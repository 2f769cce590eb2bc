package cgroup

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
)

// DelegateAnnotation names a cgroup below the container's, which init is moved to when its cgroup
// namespace is made, and which is the container's own to manage: limits are set above it.
//
// Source: crun(1), "run.oci.delegate-cgroup".
const DelegateAnnotation = "run.oci.delegate-cgroup"

// Delegated returns the path of that cgroup from the container's, empty for none.
func Delegated(annotations map[string]string) (string, error) {
	text := annotations[DelegateAnnotation]
	if text == "" {
		return "", nil
	}
	below, err := components(text)
	if err != nil {
		return "", fmt.Errorf("config.json: annotations[%s]: %q: %w", DelegateAnnotation, text, err)
	}
	return below, nil
}

// MakeBelow makes the cgroup at the path below from the container's on v2, parents included, and
// returns it with the directories above it, from the container's own down.
func (p *Plan) MakeBelow(below string) (dir cgroupfs.Dir, above []cgroupfs.Dir, err error) {
	if p.mode != V2 || len(p.dirs) == 0 {
		return dir, nil, errors.New("the container has no cgroup v2 of its own")
	}
	dir = p.dirs[0].Dir
	for name := range strings.SplitSeq(below, "/") {
		above = append(above, dir)
		dir.Path, dir.Abs = path.Join(dir.Path, name), path.Join(dir.Abs, name)
		if err := unix.Mkdirat(dir.FD, dir.Path, 0o755); err != nil && err != unix.EEXIST {
			return dir, nil, fmt.Errorf("cgroup %s: mkdir: %w", dir.Abs, err)
		}
	}
	return dir, above, nil
}
