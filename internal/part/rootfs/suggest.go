package rootfs

import (
	"strings"

	"github.com/hutch-project/hutch/internal/nearest"
)

// OptionHint returns "did you mean NAME?" for an option that the kernel refuses, empty where
// none is like it: one of the table, or of the file systems that containers mount.
//
// Source: tmpfs(5), proc(5), kernel filesystems/devpts.rst and overlayfs.rst.
func OptionHint(option string) string {
	key, _, _ := strings.Cut(option, "=")
	names := append(MountOptions(),
		"size", "nr_blocks", "nr_inodes", "mode", "uid", "gid", "huge", "mpol", "noswap", // tmpfs
		"hidepid", "subset", // proc
		"newinstance", "ptmxmode", "max", // devpts
		"lowerdir", "upperdir", "workdir", "redirect_dir", "index", "metacopy", "userxattr", "volatile", "xino", // overlay
	)
	for _, name := range names {
		if name == key {
			return "" // it is its value that is wrong
		}
	}
	return nearest.Hint(key, names)
}
