package life

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
)

// pidFileTries bounds how many names are tried for the new file: who may write to its
// directory can take some of them, and cannot know them all.
const pidFileTries = 100

// writePidFile puts pid, in decimal and without a newline, into the file path,
// all at once: readers poll for it and take what they first see. A file that is
// there is replaced, a link too.
func writePidFile(path string, pid int) error {
	fd, tmp, err := createBeside(path)
	if err == nil {
		err = sys.WriteOnce(fd, strconv.Itoa(pid))
		unix.Close(fd)
		if err == nil {
			err = unix.Rename(tmp, path)
		}
		if err != nil {
			_ = unix.Unlink(tmp)
		}
	}
	if err != nil {
		return fmt.Errorf("write the pid file %s: %w", path, err)
	}
	return nil
}

// createBeside makes a new file in the directory of path.
func createBeside(path string) (fd int, name string, err error) {
	dir, base := filepath.Split(path)
	for range pidFileTries {
		name = filepath.Join(dir, "."+base+"."+strconv.FormatUint(rand.Uint64(), 36))
		fd, err = unix.Open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o644)
		if err != unix.EEXIST {
			break
		}
	}
	return fd, name, err
}
