package hook

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
)

// lastInherited returns the highest descriptor that a child of this process
// would inherit over execve: those that the runtime's caller has left open, for
// the container or by oversight, are nothing for a hook. To make them all
// close-on-exec would take them from the container too.
func lastInherited() (int, error) {
	const path = "/proc/self/fd"
	dir, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(dir)
	last := 2
	err = sys.ReadNames(dir, make([]byte, 4096), func(name string) {
		fd, err := strconv.Atoi(name)
		if err != nil || fd <= last {
			return
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			last = fd
		}
	})
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	return last, nil
}
