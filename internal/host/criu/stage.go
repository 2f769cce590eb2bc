package criu

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
)

// Stage is where CRIU finds what it mounts in a restored container: the root, and a source
// for each key. It is made in the mount namespace of a Worker, from Prepare, and ends with
// it. So nothing of it is seen by the host, and nothing is left, whoever is killed.
//
// Dir is covered there.
type Stage struct {
	Dir  string // absolute
	Root int    // descriptor of the root's mount in the stage, after Open
}

// RootPath returns the path of the root for Options.Root.
func (s *Stage) RootPath() string { return s.Dir + "/root" }

// SourcePath returns the path of the i-th source.
func (s *Stage) SourcePath(i int) string { return s.Dir + "/source/" + strconv.Itoa(i) }

// Open makes the stage, with a copy of the mounts at the directory root.
func (s *Stage) Open(root int) error {
	if err := unix.Mount("tmpfs", s.Dir, "tmpfs", unix.MS_NOSUID, "mode=1777"); err != nil {
		return fmt.Errorf("mount a tmpfs for what is restored: %w", err)
	}
	for _, dir := range []string{s.RootPath(), s.Dir + "/source"} {
		if err := unix.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("mkdir %s: %w", dir, err)
		}
		if err := unix.Chmod(dir, 0o755); err != nil { // whatever the umask
			return fmt.Errorf("chmod %s: %w", dir, err)
		}
	}
	if err := Clone(root, true, unix.AT_FDCWD, s.RootPath()); err != nil {
		return err
	}
	var err error
	s.Root, err = unix.Open(s.RootPath(), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", s.RootPath(), err)
	}
	return nil
}

// Close lets go of the descriptor; the mounts stay.
func (s *Stage) Close() {
	if s.Root > 0 {
		unix.Close(s.Root)
		s.Root = 0
	}
}

// Source makes the file or directory at the descriptor fd the i-th source, with the mounts
// below where tree is set.
func (s *Stage) Source(i, fd int, tree bool) error {
	path := s.SourcePath(i)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("fstat: %w", err)
	}
	var err error
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		err = unix.Mkdir(path, 0o755)
	} else {
		err = unix.Mknod(path, unix.S_IFREG|0o644, 0)
	}
	if err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	return Clone(fd, tree, unix.AT_FDCWD, path)
}

// OpenSource opens the mount of the i-th source.
func (s *Stage) OpenSource(i int) (int, error) {
	fd, err := unix.Open(s.SourcePath(i), unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", s.SourcePath(i), err)
	}
	return fd, nil
}

// Node makes a device node the i-th source: a file of the stage, and none of the host's,
// which the container could change.
func (s *Stage) Node(i int, mode uint32, dev uint64, uid, gid int) error {
	path := s.SourcePath(i)
	if err := unix.Mknod(path, mode, int(dev)); err != nil {
		return fmt.Errorf("mknod %s: %w", path, err)
	}
	if err := unix.Chmod(path, mode&0o7777); err != nil {
		return fmt.Errorf("chmod %s: %w", path, err)
	}
	if err := unix.Chown(path, uid, gid); err != nil {
		return fmt.Errorf("chown %s: %w", path, err)
	}
	// CRIU binds by path. A mount of its own is what a source is otherwise, too.
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	return Clone(fd, false, unix.AT_FDCWD, path)
}

// Clone mounts what is at the descriptor fd at name below dir too, or at dir itself where
// name is empty.
//
// Source: open_tree(2), move_mount(2).
func Clone(fd int, tree bool, dir int, name string) error {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH)
	if tree {
		flags |= unix.AT_RECURSIVE
	}
	mnt, err := unix.OpenTree(fd, "", flags)
	if err != nil {
		return fmt.Errorf("open_tree: %w", err)
	}
	defer unix.Close(mnt)
	move := unix.MOVE_MOUNT_F_EMPTY_PATH
	if name == "" {
		move |= unix.MOVE_MOUNT_T_EMPTY_PATH
	}
	if err := unix.MoveMount(mnt, "", dir, name, move); err != nil {
		return fmt.Errorf("move_mount: %w", err)
	}
	return nil
}

// ReadOnlyRoot makes the root of a restored process, which stands still, read-only in its
// mount namespace. CRIU makes a directory there, so that it cannot be so before, and does not
// make it so afterwards.
func ReadOnlyRoot(pidfd int) error {
	err := InMounts(pidfd, func() error {
		attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
		return unix.MountSetattr(unix.AT_FDCWD, "/", 0, &attr)
	})
	if err != nil {
		return fmt.Errorf("make the root read-only: %w", err)
	}
	return nil
}

// InMounts calls f on a thread in the mount namespace of a process, at the root of that.
//
// Source: setns(2), which takes the thread to the root of the namespace.
func InMounts(pidfd int, f func() error) error {
	return sys.Apart(func() error {
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return fmt.Errorf("unshare CLONE_FS: %w", err)
		}
		if err := unix.Setns(pidfd, unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("setns: %w", err)
		}
		return f()
	})
}
