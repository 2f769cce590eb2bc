package rootfs

import (
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
)

// PointModes looks at the mount points in the tree at rootfs of those of mounts that are a
// tmpfs without a mode of its own, and returns their permissions by index, 0 for one that
// is not there: such a tmpfs has the kernel's mode, 1777. One that an earlier mount may
// bring along is left out, and all where the tree cannot be opened: the program looks
// itself then.
//
// Source: tmpfs(5), "mode"; what runc does.
func PointModes(rootfs string, mounts []specs.Mount) map[int]uint32 {
	var modes map[int]uint32
	root := -1
	for i := range mounts {
		m := &mounts[i]
		o := parseOptions(m.Options)
		dest := destination(m.Destination)
		if m.Type != "tmpfs" || o.bind || o.remount || o.hasData("mode") || below(mounts[:i], dest) {
			continue
		}
		if modes == nil {
			var err error
			if root, err = unix.Open(rootfs, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
				return nil
			}
			defer unix.Close(root)
			modes = map[int]uint32{}
		}
		if mode, known := pointMode(root, dest); known {
			modes[i] = mode
		}
	}
	return modes
}

// below reports whether one of mounts may lie on the way to dest. A symbolic link may
// lead over any of them.
func below(mounts []specs.Mount, dest string) bool {
	for i := range mounts {
		if d := destination(mounts[i].Destination); dest == d || strings.HasPrefix(dest, strings.TrimSuffix(d, "/")+"/") {
			return true
		}
	}
	return false
}

// pointMode returns the mode of the directory dest in the root, through no symbolic link.
func pointMode(root int, dest string) (mode uint32, known bool) {
	fd, err := sys.Openat2(root, dest, &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: plain})
	if err == unix.ENOENT {
		return 0, true
	}
	if err != nil {
		return 0, false
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return 0, false
	}
	return st.Mode & 0o7777, true
}
