package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// layOut gives the mount namespace of this process what the tests see: a /proc of
// the pid namespace, the box's cgroups as the roots of all hierarchies, empty places
// for files. Everything else is the machine's.
func (p *plan) layOut() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	// In memory: tests make so many files that a disk's journal takes a tenth of their time.
	files, err := newTmpfs("1777", 0, 0)
	if err != nil {
		return err
	}
	if err := cover("/tmp", files, p.named("/tmp/")); err != nil {
		return err
	}
	if err := coverRun(); err != nil {
		return err
	}
	if err := coverUserRun(); err != nil {
		return err
	}
	if err := mountProc(); err != nil {
		return err
	}
	return p.mountGroups()
}

// named lists the entries of a directory that the command, its environment and its
// working directory name: go test has the tests themselves below /tmp.
func (p *plan) named(dir string) []string {
	paths := append([]string{p.Binary}, p.Args...)
	if here, err := os.Getwd(); err == nil {
		paths = append(paths, here)
	}
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, "TMPDIR=") {
			paths = append(paths, setting)
		}
	}
	var names []string
	for _, text := range paths {
		if _, value, ok := strings.Cut(text, "="); ok {
			text = value
		}
		for _, path := range filepath.SplitList(text) {
			rest, ok := strings.CutPrefix(path, dir)
			name, _, _ := strings.Cut(rest, "/")
			if _, err := os.Lstat(dir + name); ok && name != "" && err == nil && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// cover puts a mount on a directory, and the named entries of the directory into it.
func cover(at string, over int, names []string) error {
	defer unix.Close(over)
	type entry struct {
		name, link string
		mount      int
		dir        bool
	}
	var kept []entry
	for _, name := range names {
		path := filepath.Join(at, name)
		e := entry{name: name, mount: -1}
		st, err := os.Lstat(path)
		switch {
		case err != nil:
			continue // gone by now
		case st.Mode()&os.ModeSymlink != 0:
			e.link, err = os.Readlink(path)
		default:
			e.dir = st.IsDir()
			e.mount, err = unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
		}
		if err != nil {
			return fmt.Errorf("keep %s: %w", path, err)
		}
		kept = append(kept, e)
	}
	if err := unix.MoveMount(over, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount over %s: %w", at, err)
	}
	for _, e := range kept {
		path := filepath.Join(at, e.name)
		if e.mount < 0 {
			if err := os.Symlink(e.link, path); err != nil {
				return err
			}
			continue
		}
		if err := placeFor(path, e.dir); err != nil {
			return err
		}
		if err := unix.MoveMount(e.mount, "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return fmt.Errorf("keep %s: %w", path, err)
		}
		unix.Close(e.mount)
	}
	return nil
}

func placeFor(path string, dir bool) error {
	if dir {
		return os.Mkdir(path, 0o755)
	}
	return os.WriteFile(path, nil, 0o644)
}

// coverRun gives the tests a /run with the machine's entries, but for those that they
// and the runtime make there.
func coverRun() error {
	entries, err := os.ReadDir("/run")
	if err != nil {
		return nil // no /run
	}
	var names []string
	for _, e := range entries {
		if name := e.Name(); name != "netns" && !strings.HasPrefix(name, "hutch") {
			names = append(names, name)
		}
	}
	over, err := newTmpfs("755", 0, 0)
	if err != nil {
		return err
	}
	return cover("/run", over, names)
}

// coverUserRun gives an empty directory the place of XDG_RUNTIME_DIR.
func coverUserRun() error {
	dir := os.Getenv("XDG_RUNTIME_DIR")
	var st unix.Stat_t
	if !filepath.IsAbs(dir) || unix.Lstat(dir, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil
	}
	over, err := newTmpfs(fmt.Sprintf("%o", st.Mode&0o7777), st.Uid, st.Gid)
	if err != nil {
		return err
	}
	return cover(dir, over, nil)
}

// newTmpfs makes a tmpfs that is mounted nowhere.
func newTmpfs(mode string, uid, gid uint32) (int, error) {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("fsopen tmpfs: %w", err)
	}
	defer unix.Close(fs)
	for _, option := range [][2]string{{"mode", mode}, {"uid", fmt.Sprint(uid)}, {"gid", fmt.Sprint(gid)}} {
		if err := unix.FsconfigSetString(fs, option[0], option[1]); err != nil {
			return -1, fmt.Errorf("tmpfs: %s=%s: %w", option[0], option[1], err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("tmpfs: %w", err)
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
}

// mountProc mounts the pid namespace's procfs in place of the machine's, with as
// much forbidden: procfs of user namespaces may not be freer.
func mountProc() error {
	var st unix.Statfs_t
	if err := unix.Statfs("/proc", &st); err != nil {
		return err
	}
	// In a container parts of it may be mounts that cannot be taken away.
	if err := unix.Unmount("/proc", unix.MNT_DETACH); err != nil && err != unix.EINVAL {
		return fmt.Errorf("unmount /proc: %w", err)
	}
	flags := uintptr(st.Flags) & (unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	if err := unix.Mount("proc", "/proc", "proc", flags, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}

// mountGroups puts the box's cgroups in the places of the hierarchies' roots.
func (p *plan) mountGroups() error {
	mounts := make([]int, len(p.Groups))
	for i, g := range p.Groups {
		fd, err := unix.OpenTree(unix.AT_FDCWD, g.Dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
		if err != nil {
			return fmt.Errorf("open_tree %s: %w", g.Dir, err)
		}
		defer unix.Close(fd)
		mounts[i] = fd
	}
	for i, g := range p.Groups {
		if err := unix.Unmount(g.Mount, unix.MNT_DETACH); err != nil && err != unix.EINVAL {
			return fmt.Errorf("unmount %s: %w", g.Mount, err)
		}
		if err := unix.MoveMount(mounts[i], "", unix.AT_FDCWD, g.Mount, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return fmt.Errorf("mount %s on %s: %w", g.Dir, g.Mount, err)
		}
	}
	return nil
}

// environ is the tests' environment: temporary files go to the box's directory.
func (p *plan) environ() []string {
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, aloneVariable+"=") })
	set := func(name, value string) {
		env = slices.DeleteFunc(env, func(s string) bool { return strings.HasPrefix(s, name+"=") })
		env = append(env, name+"="+value)
	}
	if !p.Root {
		set("TMPDIR", filepath.Join(p.Dir, "tmp"))
		if os.Getenv("XDG_RUNTIME_DIR") != "" {
			set("XDG_RUNTIME_DIR", filepath.Join(p.Dir, "run"))
		}
	} else if os.Getenv("TMPDIR") != "" {
		set("TMPDIR", "/tmp")
	}
	return env
}

// enter goes into the cgroups, which so are the roots of a cgroup namespace, and
// becomes the tests.
func enter(p *plan) int {
	if err := p.join(); err != nil {
		return complain(err)
	}
	err := syscall.Exec(p.Binary, append([]string{p.Binary}, p.Args...), p.environ())
	return complain(fmt.Errorf("%s: %w", p.Binary, err))
}

func (p *plan) join() error {
	if len(p.Groups) == 0 {
		return nil
	}
	self := []byte("0")
	for _, g := range p.Groups {
		if err := os.WriteFile(filepath.Join(g.Mount, "cgroup.procs"), self, 0); err != nil {
			return fmt.Errorf("join the cgroup: %w", err)
		}
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("unshare the cgroup namespace: %w", err)
	}
	var err error
	for _, g := range p.Groups {
		if g.V2 {
			err = errors.Join(err, os.WriteFile(filepath.Join(g.Mount, leaf, "cgroup.procs"), self, 0))
		}
	}
	return err
}
