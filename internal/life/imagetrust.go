package life

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/trust"
	"github.com/hutch-project/hutch/internal/uidmap"
)

// CRIU opens images by their names, as root, and does what they say. Whoever can put a file
// there has it write through a link, or mount what an image names, long before anything can
// be compared with the configuration. So nobody can but those who may do all that anyway.

// maxChain bounds the images of a chain, each of which is the "parent" of the next.
const maxChain = 1000

// imageGuard proves directories of images or logs.
type imageGuard struct {
	option string // that the directory was given by
	owner  int    // the container's root, who has images for a restore into its namespace
}

// check returns an error unless nobody but root, the caller and the owner can put a file in
// the directory that is open at fd, and what CRIU opens there, and in those before it in the
// chain, is theirs.
func (g imageGuard) check(fd int, path string) error { return g.chain(fd, path, g.directory) }

// chain calls f for the directory that is open at fd and for each one before it, until one is an
// error.
func (g imageGuard) chain(fd int, path string, f func(fd int, path string) error) error {
	for depth := range maxChain {
		err := f(fd, path)
		former := -1
		if err == nil {
			former, err = openParent(fd)
			if errors.Is(err, unix.ENOENT) {
				former, err = -1, nil
			} else if err != nil {
				err = fmt.Errorf("%s: open %s/%s: %w", g.option, path, parentName, err)
			}
		}
		if depth > 0 {
			unix.Close(fd)
		}
		if err != nil || former < 0 {
			return err
		}
		fd, path = former, filepath.Join(path, parentName)
	}
	unix.Close(fd)
	return fmt.Errorf("%s: a chain of more than %d directories of images", g.option, maxChain)
}

// parentName is CRIU's link to the former images of a chain.
const parentName = "parent"

// directory proves one directory.
func (g imageGuard) directory(fd int, path string) error {
	var st unix.Stat_t
	if err := trust.Fstat(fd, &st); err != nil {
		return fmt.Errorf("%s: fstat %s: %w", g.option, path, err)
	}
	if err := g.trusts(&st, path); err != nil {
		return err
	}
	names, err := entries(fd)
	if err != nil {
		return fmt.Errorf("%s: read %s: %w", g.option, path, err)
	}
	for _, name := range names {
		if !opens(name) {
			continue
		}
		if err := g.file(fd, path, name); err != nil {
			return err
		}
	}
	return nil
}

// openParent opens the directory of the former images, to which CRIU comes by a link. In the
// directory at fd that is of somebody who may have made it; on the way there others may not have.
func openParent(fd int) (int, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, parentName, buf)
	if err == unix.EINVAL {
		return unix.Openat(fd, parentName, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return -1, err
	}
	return openFormer(fd, string(buf[:n]))
}

// file proves a file that CRIU opens.
func (g imageGuard) file(dir int, path, name string) error {
	var st unix.Stat_t
	err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err == unix.ENOENT {
		return nil
	}
	shown := filepath.Join(path, fault.Name(name))
	if err != nil {
		return fmt.Errorf("%s: stat %s: %w", g.option, shown, err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFSOCK:
		return g.trusts(&st, shown)
	case unix.S_IFLNK:
		return fmt.Errorf("%s: %s is a symbolic link, through which CRIU would read or write as root; remove it", g.option, shown)
	}
	return fmt.Errorf("%s: %s is no regular file; remove it", g.option, shown)
}

// trusts returns an error where somebody else can write the file or directory.
func (g imageGuard) trusts(st *unix.Stat_t, path string) error {
	switch (trust.Rule{Owners: []int{g.owner}, Groups: []int{0, g.owner}}).Of(st) {
	case trust.Foreign:
		return fmt.Errorf("%s: %s belongs to user %d, who could have CRIU do anything as root; if you trust what it has, chown it to root",
			g.option, path, st.Uid)
	case trust.Writable:
		return fmt.Errorf("%s: %s may be written by others (mode %04o), who could have CRIU do anything as root; if you trust what it has, chmod go-w it",
			g.option, path, st.Mode&0o7777)
	}
	return nil
}

// opens reports whether CRIU, or the runtime beside it, opens files of the name, beside the chain.
func opens(name string) bool {
	switch name {
	case outsideName, streamsName, "lazy-pages.socket":
		return true
	}
	return strings.HasSuffix(name, ".img") || strings.HasSuffix(name, ".log") || strings.HasPrefix(name, "stats-")
}

// entries returns the names in the directory that is open at fd, wherever that was read to.
func entries(fd int) ([]string, error) {
	again, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	dir := os.NewFile(uintptr(again), "")
	defer dir.Close()
	return dir.Readdirnames(-1)
}

// rootOf returns whom the root of the user namespace of a process is on the host, -1 where
// that cannot be read.
func rootOf(pid int) int {
	uid, err := rootIn(pid, "uid_map")
	if err != nil {
		return -1
	}
	return uid
}

// rootIn returns what the id 0 of the user namespace of a process is on the host, by its map.
func rootIn(pid int, file string) (int, error) {
	list, err := uidmap.Of(pid, file)
	return int(uidmap.OutsideOr(list, 0, 0)), err
}

// maxOutside is more than a file of the runtime's beside the images has.
const maxOutside = 16 << 20

// readImage reads a file of the runtime's beside the images.
func readImage(dir int, name string) ([]byte, error) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	switch {
	case err != nil:
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		err = errors.New("it is no regular file")
	case st.Size > maxOutside:
		err = fmt.Errorf("it has %d bytes, more than %d", st.Size, maxOutside)
	default:
		err = unix.SetNonblock(fd, false) // which was for a fifo, and has Go poll it
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxOutside))
}
