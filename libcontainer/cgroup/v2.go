package cgroup

import (
	"errors"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// v2 is a container's cgroup v2: the directory.
type v2 string

func (m v2) Paths() Paths         { return Paths{"": string(m)} }
func (m v2) Exists() bool         { return exists(string(m)) }
func (m v2) Pids() ([]int, error) { return members(string(m)) }
func (m v2) Remove() error        { return removeTree(string(m), true, time.Now().Add(removeWait)) }

// KillAll uses cgroup.kill, which kills a whole subtree, forks included. Remove
// the other way once 5.14 (cgroup.kill) is the floor, but for threaded cgroups,
// which do not have it.
//
// Source: cgroup-v2.rst, cgroup.kill. Frozen processes are killed too.
func (m v2) KillAll() error {
	err := writeFile(unix.AT_FDCWD, string(m)+"/cgroup.kill", "1")
	if err == nil || !exists(string(m)) {
		return nil
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		return killMembers(string(m))
	}
	return err
}

// Frozen asks for the container's own freezing, not for that of a cgroup above.
func (m v2) Frozen() bool {
	text, err := readFile(unix.AT_FDCWD, string(m)+"/cgroup.freeze")
	return err == nil && strings.HasPrefix(text, "1")
}

func (m v2) Thaw() error {
	return walk(string(m), func(fd int) error { return writeFile(fd, "cgroup.freeze", "0") }, nil)
}

func exists(dir string) bool {
	var st unix.Stat_t
	return unix.Fstatat(unix.AT_FDCWD, dir, &st, unix.AT_SYMLINK_NOFOLLOW) == nil
}
