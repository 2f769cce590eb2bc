package life

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/sys"
	"github.com/hutch-project/hutch/internal/uidmap"
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
	return "root.path: open the root file system " + fault.Line(e.path) + ": " + why + e.err.Error()
}

func (e *rootError) Unwrap() error { return e.err }

// explainPaths adds to err what to do about a path that leads nowhere: of a namespace, or of the
// root, which must be no link either, nor on a FUSE file system that denies the container's
// root to look into it.
func (m *maker) explainPaths(err error) error {
	var fs unix.Statfs_t
	if errors.Is(err, unix.EACCES) && unix.Statfs(m.bundle.rootfs, &fs) == nil && fs.Type == unix.FUSE_SUPER_MAGIC && m.foreignRoot() {
		return fmt.Errorf("%w; root.path is on FUSE, which only who has mounted it may look into: mount it with allow_other", err)
	}
	element := ""
	var failed *program.Error
	if errors.As(err, new(*rootError)) {
		element = "root.path"
	} else if errors.As(err, &failed) {
		element = failed.Note.Element.String()
	}
	namespace := strings.HasPrefix(element, "linux.namespaces[")
	switch {
	case errors.Is(err, unix.ENOENT) && namespace:
		return fmt.Errorf("%w; name the namespace of a process that lives, or one that is bound, or leave path out for a new one", err)
	case errors.Is(err, unix.ENOENT) && element == "root.path":
		return fmt.Errorf("%w; unpack the files of an image there, or name the directory that has them", err)
	case !errors.Is(err, unix.ELOOP) || element != "root.path":
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
	return len(l.UIDMappings) > 0 && int(uidmap.OutsideOr(l.UIDMappings, 0, 0)) != unix.Geteuid()
}

// openRootPath opens the directory rootfs, on the way to which there may be
// symbolic links up to the bundle and none from there on: what a container was made
// with is what is meant.
func openRootPath(bundle, rootfs string) (int, error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC
	noLinks := &unix.OpenHow{Flags: flags, Resolve: unix.RESOLVE_NO_SYMLINKS}
	fd, err := sys.Openat2(unix.AT_FDCWD, rootfs, noLinks)
	rel, below := strings.CutPrefix(rootfs, bundle+"/")
	if err != unix.ELOOP || !below {
		return fd, err
	}
	dir, err := unix.Open(bundle, flags, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	return sys.Openat2(dir, rel, noLinks)
}
