package selfexe

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// executeOverlay executes this program from a read-only overlay. It returns only
// an error.
func executeOverlay(args, env []string) error {
	mnt, name, err := overlay()
	if err != nil {
		return err
	}
	defer unix.Close(mnt)
	// By its name, which the kernel gives the process.
	return execute("/proc/self/fd/"+strconv.Itoa(mnt)+"/"+name, args, env)
}

// overlay makes a detached mount of an overlay over the executable's directory
// and returns it with the executable's name there.
//
// The overlay has no upper directory, so its superblock is read-only; and its
// inodes are its own, so nothing leads from them to those of the host's file. Its
// data is that of the host's file: nothing is copied, and the mount is in no
// mount table.
//
// Source: Linux overlayfs.rst; fsopen(2), fsconfig(2), fsmount(2).
func overlay() (mnt int, name string, err error) {
	var room [unix.PathMax]byte
	n, err := unix.Readlink(self, room[:])
	if err != nil {
		return -1, "", fmt.Errorf("readlink %s: %w", self, err)
	}
	path := string(room[:n])
	name = filepath.Base(path)
	dir, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, "", fmt.Errorf("open the directory of %s: %w", path, err)
	}
	defer unix.Close(dir)
	if err := same(dir, name); err != nil {
		return -1, "", fmt.Errorf("%s: %w", path, err)
	}
	mnt, err = mountOverlay("/proc/self/fd/"+strconv.Itoa(dir), other(path))
	if err != nil {
		return -1, "", err
	}
	if !readOnly(mnt, name) {
		unix.Close(mnt)
		return -1, "", fmt.Errorf("%s can be opened for writing through a read-only overlay", name)
	}
	return mnt, name, nil
}

// same checks that name in the directory dir is the executable of this process.
// It is not after an upgrade, nor when the link leads into another mount
// namespace.
func same(dir int, name string) error {
	var own, there unix.Stat_t
	if err := unix.Stat(self, &own); err != nil {
		return err
	}
	if err := unix.Fstatat(dir, name, &there, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if own.Dev != there.Dev || own.Ino != there.Ino {
		return errors.New("is no longer the executable of this process")
	}
	return nil
}

// other returns a directory that neither holds path nor is next to it: an overlay
// without an upper directory wants a second lower one, disjoint with the first.
// What is in it does not matter, as the first has precedence.
func other(path string) string {
	if len(path) > 5 && path[:5] == "/sys/" {
		return "/dev"
	}
	return "/sys"
}

func mountOverlay(upper, lower string) (int, error) {
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("fsopen overlay: %w", err)
	}
	defer unix.Close(fs)
	lowerdir := upper + ":" + lower
	if err := unix.FsconfigSetString(fs, "lowerdir", lowerdir); err != nil {
		return -1, fmt.Errorf("fsconfig lowerdir=%s: %w", lowerdir, err)
	}
	if err := unix.FsconfigSetFlag(fs, "ro"); err != nil {
		return -1, fmt.Errorf("fsconfig ro: %w", err)
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("fsconfig create, lowerdir=%s: %w", lowerdir, err)
	}
	mnt, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return -1, fmt.Errorf("fsmount: %w", err)
	}
	return mnt, nil
}
