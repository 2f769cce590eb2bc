package terminal

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Master returns an error for a descriptor that is no master of a pseudoterminal of a
// devpts: it comes from a process of a container.
//
// Source: pts(4).
func Master(fd int) error {
	const ptmxMajor, ptmxMinor = 5, 2
	var st unix.Stat_t
	var fs unix.Statfs_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("fstat the terminal: %w", err)
	}
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return fmt.Errorf("fstatfs the terminal: %w", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR || uint64(st.Rdev) != unix.Mkdev(ptmxMajor, ptmxMinor) || int64(fs.Type) != unix.DEVPTS_SUPER_MAGIC {
		return errors.New("what the process has sent is no terminal of a devpts")
	}
	return nil
}
