package libcontainer

import (
	"fmt"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// writePidFile puts pid, in decimal and without a newline, into the file path,
// all at once: readers poll for it and take what they first see. A file that is
// there is replaced.
func writePidFile(path string, pid int) error {
	dir, name := filepath.Split(path)
	tmp := filepath.Join(dir, "."+name+"."+strconv.Itoa(unix.Getpid()))
	err := func() error {
		fd, err := unix.Open(tmp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o644)
		if err != nil {
			return err
		}
		_, err = unix.Write(fd, strconv.AppendInt(nil, int64(pid), 10))
		unix.Close(fd)
		if err == nil {
			err = unix.Rename(tmp, path)
		}
		if err != nil {
			_ = unix.Unlink(tmp)
		}
		return err
	}()
	if err != nil {
		return fmt.Errorf("write the pid file %s: %w", path, err)
	}
	return nil
}
