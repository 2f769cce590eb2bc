package cgroup

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
)

// delegated are the files that a new owner gets where the kernel has no list.
const delegated = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n"

// Chown makes uid and gid, of this user namespace and -1 for no change, the
// owner of the container's cgroup v2 directory and of those files in it that let
// it make cgroups of its own: no limits. On v1 and hybrid it does nothing, as
// handing on is not safe there. When it is to be called is the caller's to know.
//
// Source: runtime-spec config-linux.md "Cgroup ownership"; cgroups(7), "Cgroups
// delegation".
func (p *Plan) Chown(uid, gid int) error {
	if p.mode != V2 {
		return nil
	}
	return ChownDelegated(p.dirs[0].Dir, uid, gid)
}

// ChownDelegated is Chown for any cgroup v2 directory.
func ChownDelegated(d cgroupfs.Dir, uid, gid int) error {
	names, err := cgroupfs.ReadFile(unix.AT_FDCWD, "/sys/kernel/cgroup/delegate")
	if errors.Is(err, unix.ENOENT) {
		names, err = delegated, nil
	}
	if err != nil {
		return err
	}
	dir, err := cgroupfs.Beneath(d.FD, d.Path, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return fmt.Errorf("cgroup %s: open: %w", d.Abs, err)
	}
	defer unix.Close(dir)
	// By the directory's descriptor: the name may be another's by the second call.
	if err := unix.Fchown(dir, uid, gid); err != nil {
		return fmt.Errorf("cgroup %s: chown to %d:%d: %w", d.Abs, uid, gid, err)
	}
	for name := range strings.Lines(names) {
		name = strings.TrimSuffix(name, "\n")
		if name == "" || strings.Contains(name, "/") {
			continue
		}
		// "Not all files listed ... necessarily exist in every cgroup. Runtimes
		// MUST NOT fail in this scenario".
		err := unix.Fchownat(dir, name, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
		if err != nil && err != unix.ENOENT {
			return fmt.Errorf("cgroup %s: chown %s to %d:%d: %w", d.Abs, name, uid, gid, err)
		}
	}
	return nil
}
