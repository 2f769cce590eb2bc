package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// cgroupName is the cgroup that a surrounding's process is in, in each hierarchy. It
// is the parent's, which removes it: the program that prints the table.
func cgroupName(pid int) string { return fmt.Sprintf("hutch-surroundings-%d", pid) }

// hierarchies are the directories at which cgroup hierarchies are mounted.
func hierarchies() (list []string) {
	text, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 2 && (f[2] == "cgroup" || f[2] == "cgroup2") {
			list = append(list, f[1])
		}
	}
	return list
}

// enterCgroups moves this process to a cgroup of its own in each hierarchy.
func enterCgroups() error {
	entered := 0
	for _, top := range hierarchies() {
		dir := filepath.Join(top, cgroupName(os.Getppid()))
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			continue // read-only here
		}
		for _, name := range []string{"cpuset.cpus", "cpuset.mems"} { // of v1, which begin empty
			text, err := os.ReadFile(filepath.Join(top, name))
			if err == nil {
				_ = os.WriteFile(filepath.Join(dir, name), text, 0)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0); err != nil {
			return err
		}
		entered++
	}
	if entered == 0 {
		return errors.New("no cgroup hierarchy takes a new cgroup")
	}
	return nil
}

func removeCgroups() {
	for _, top := range hierarchies() {
		dir := filepath.Join(top, cgroupName(os.Getpid()))
		var all []string
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				all = append(all, path)
			}
			return nil
		})
		for i := len(all) - 1; i >= 0; i-- {
			_ = unix.Rmdir(all[i])
		}
	}
}

func mountNamespace(propagation uintptr) func() error {
	return func() error {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return err
		}
		return unix.Mount("", "/", "", unix.MS_REC|propagation, "")
	}
}

// restless is a mount namespace in which, as on a host, mounts come and go, and where
// they reach those that do not keep them off.
func restless() error {
	if err := mountNamespace(unix.MS_PRIVATE)(); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("/tmp", "surroundings-mount-")
	if err != nil {
		return err
	}
	// It ends with the program that this process becomes, and is not its child.
	const loop = `{ while kill -0 $1; do mount -t tmpfs none "$0" && umount "$0"; sleep 0.003; done; rmdir "$0"; } >/dev/null 2>&1 &`
	return exec.Command("/bin/sh", "-c", loop, dir, fmt.Sprint(os.Getpid())).Run()
}

// ownProc mounts the procfs of a new pid namespace.
func ownProc() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	return unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
}

// anotherRoot goes to an overlay of the root file system in which a directory is made
// and files are removed.
func anotherRoot() error {
	if err := mountNamespace(unix.MS_PRIVATE)(); err != nil {
		return err
	}
	old, err := os.Getwd()
	if err != nil {
		return err
	}
	space, err := os.MkdirTemp("/tmp", "surroundings-root-")
	if err != nil {
		return err
	}
	defer os.Remove(space) // the mount on it is this namespace's
	if err := unix.Mount("tmpfs", space, "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	root := filepath.Join(space, "root")
	for _, dir := range []string{"up", "work", "root"} {
		if err := os.Mkdir(filepath.Join(space, dir), 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("overlay", root, "overlay", 0, fmt.Sprintf("lowerdir=/,upperdir=%s/up,workdir=%s/work", space, space)); err != nil {
		return err
	}
	top := strings.SplitN(old, "/", 3)[1] // where the working directory is
	for _, dir := range []string{"proc", "sys", "dev", "tmp", "run", top} {
		if dir != "" {
			if err := unix.Mount("/"+dir, filepath.Join(root, dir), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
				return fmt.Errorf("bind %s: %w", dir, err)
			}
		}
	}
	if err := os.Mkdir(filepath.Join(root, "nonexistent"), 0o755); err != nil {
		return err
	}
	for _, file := range []string{"etc/subuid", "etc/subgid"} {
		_ = os.Remove(filepath.Join(root, file))
	}
	if err := unix.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return err
	}
	return unix.Chdir(old)
}
