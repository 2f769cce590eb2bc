package life

import (
	"fmt"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/state"
)

// rootMount returns the id of the mount that the root of the container is on, when it
// shares the runtime's mount namespace, and 0 otherwise.
func rootMount(b *bundle) (uint64, error) {
	if has(b.spec, specs.MountNamespace) {
		return 0, nil
	}
	fd, err := openRootPath(b.dir, b.rootfs)
	if err != nil {
		return 0, &rootError{b.rootfs, err}
	}
	defer unix.Close(fd)
	id, _, err := mountOf(fd)
	return id, err
}

// mountOf returns the id of the mount that the file is on, and reports whether the file
// is its root.
//
// Source: statx(2), STATX_MNT_ID (Linux 5.8).
func mountOf(fd int) (id uint64, root bool, err error) {
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_NO_AUTOMOUNT, unix.STATX_MNT_ID, &st); err != nil {
		return 0, false, fmt.Errorf("root.path: statx: %w", err)
	}
	return st.Mnt_id, st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// removeRoot unmounts the root of a container that shares the runtime's mount
// namespace, with all that is mounted in it: what was looked at is what is
// unmounted, wherever the path leads by then.
func removeRoot(rec *state.Record) error {
	if rec.RootMount == 0 {
		return nil
	}
	fd, err := openRootPath(rec.Bundle, rec.Rootfs)
	if err != nil {
		return &rootError{rec.Rootfs, err}
	}
	defer unix.Close(fd)
	id, root, err := mountOf(fd)
	if err != nil || id == rec.RootMount || !root {
		return err
	}
	if err := unix.Unmount("/proc/self/fd/"+strconv.Itoa(fd), unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", rec.Rootfs, err)
	}
	return nil
}
