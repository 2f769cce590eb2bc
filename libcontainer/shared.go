package libcontainer

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// rootMount is the id of the mount that rootfs is on, when the container shares
// the runtime's mount namespace, and 0 otherwise.
func rootMount(s *specs.Spec, rootfs string) (uint64, error) {
	if has(s, specs.MountNamespace) {
		return 0, nil
	}
	id, _, err := mountOf(rootfs)
	return id, err
}

// mountOf gives the id of the mount that path is on, and whether path is its
// root.
//
// Source: statx(2), STATX_MNT_ID (Linux 5.8).
func mountOf(path string) (id uint64, root bool, err error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, unix.STATX_MNT_ID, &st); err != nil {
		return 0, false, fmt.Errorf("root.path: statx %s: %w", path, err)
	}
	return st.Mnt_id, st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// removeRoot unmounts the root of a container that shares the runtime's mount
// namespace, with all that is mounted in it. before is the mount that was there
// before it; 0 is a container with a namespace of its own.
func removeRoot(rootfs string, before uint64) error {
	if before == 0 {
		return nil
	}
	id, root, err := mountOf(rootfs)
	if err != nil || id == before || !root {
		return err
	}
	if err := unix.Unmount(rootfs, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
		return fmt.Errorf("unmount %s: %w", rootfs, err)
	}
	return nil
}
