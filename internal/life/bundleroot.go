package life

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/program"
)

// rootPath returns root.path as an absolute path. A relative one is from where the
// bundle is, also when the bundle's own path leads over links and root.path goes
// up.
func rootPath(bundle, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	if slices.Contains(strings.Split(path, "/"), "..") {
		if real, err := filepath.EvalSymlinks(bundle); err == nil {
			bundle = real
		}
	}
	return filepath.Join(bundle, path)
}

// rootError is why the directory at root.path cannot be opened. The words are
// those of init's program.
type rootError struct {
	path string
	err  error
}

func (e *rootError) Error() string {
	why := ""
	if e.err == unix.ELOOP {
		why = rootfs.IsLink + ": "
	}
	return "root.path: open the root file system " + e.path + ": " + why + e.err.Error()
}

func (e *rootError) Unwrap() error { return e.err }

// explainRoot names where the link leads to that root.path must not be, or the option that a
// FUSE file system lacks which denies the container's root to look into it.
func (m *maker) explainRoot(err error) error {
	var fs unix.Statfs_t
	if errors.Is(err, unix.EACCES) && unix.Statfs(m.bundle.rootfs, &fs) == nil && fs.Type == unix.FUSE_SUPER_MAGIC && m.foreignRoot() {
		return fmt.Errorf("%w; root.path is on FUSE, which only who has mounted it may look into: mount it with allow_other", err)
	}
	if !errors.Is(err, unix.ELOOP) {
		return err
	}
	var shared *rootError
	var failed *program.Error
	if !errors.As(err, &shared) && (!errors.As(err, &failed) || failed.Note.Element.String() != "root.path") {
		return err
	}
	real, lookErr := filepath.EvalSymlinks(m.bundle.rootfs)
	if lookErr != nil {
		return err
	}
	return fmt.Errorf("%w; write %s in root.path", err, real)
}

// foreignRoot reports whether the container's root is another user than the caller.
func (m *maker) foreignRoot() bool {
	l := m.bundle.linux()
	return len(l.UIDMappings) > 0 && int(rootfs.HostID(l.UIDMappings, 0)) != unix.Geteuid()
}

// openRootPath opens the directory rootfs, on the way to which there may be
// symbolic links up to the bundle and none from there on: what a container was made
// with is what is meant.
func openRootPath(bundle, rootfs string) (int, error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC
	noLinks := &unix.OpenHow{Flags: flags, Resolve: unix.RESOLVE_NO_SYMLINKS}
	fd, err := unix.Openat2(unix.AT_FDCWD, rootfs, noLinks)
	rel, below := strings.CutPrefix(rootfs, bundle+"/")
	if err != unix.ELOOP || !below {
		return fd, err
	}
	dir, err := unix.Open(bundle, flags, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	return unix.Openat2(dir, rel, noLinks)
}
