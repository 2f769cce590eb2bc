// Package state keeps what is known of containers: a directory ROOT/ID for each,
// with the record in state.json, the two fifos between init and start, and a
// lock.
//
// A record is committed by rename before what it tells of happens, so that
// whoever comes after a killed command finds all that may exist. Everything is
// done on directory descriptors and follows no symbolic link below ROOT.
//
// The package does not look at processes; whether a recorded one is still there
// says package proc.
package state

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
)

// The texts of these errors are matched by engines.
var (
	// ErrNotExist is returned for a container that there is none of.
	ErrNotExist = errors.New("container does not exist")
	// ErrExists is returned when a container of the same id is there.
	ErrExists = errors.New("container with given ID already exists")

	errDeleted = errors.New("the container was deleted meanwhile")
)

// Root is the directory that holds a directory for each container.
type Root struct {
	path string
	fd   int // -1 while there is no such directory
	dev  uint64
}

// Open opens the directory path. One that does not exist is no error: it holds
// no containers, and Create makes it. One that another user owns or may write is
// refused, see ErrForeign. The caller calls Close; directories of containers that
// come from the Root stay open.
func Open(path string) (*Root, error) {
	r := &Root{path: path, fd: -1}
	if err := r.open(); err == unix.EACCES {
		return nil, fmt.Errorf("open the state directory %s: %w: run as root, or name another one with --root", path, err)
	} else if err != nil && err != unix.ENOENT {
		return nil, fmt.Errorf("open the state directory %s: %w", path, err)
	}
	return r, nil
}

func (r *Root) open() error {
	fd, err := openDir(r.path, unix.O_RDONLY)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err = trusted(0, fd, &st); err == nil {
		err = trustedPlace(fd, st.Dev)
	}
	if err != nil {
		unix.Close(fd)
		return err
	}
	r.fd, r.dev = fd, st.Dev
	return nil
}

// Close closes the descriptor.
func (r *Root) Close() {
	if r.fd >= 0 {
		unix.Close(r.fd)
		r.fd = -1
	}
}

// dirMode is the mode of a container's directory.
const dirMode = 0o711

// createWait bounds the wait for the lock of a new directory, which others may look at,
// and for an end of deletes that take it away before it is locked.
const createWait = 10 * time.Second

// Create makes the directory of the container id, and the root with its parents
// where it is missing. The directory is locked exclusively, so that others can
// tell a container that is being created from what a killed create has left. The
// error is ErrExists when it is there. The caller calls Remove to take it back,
// and Close.
//
// While no record is in it the directory is nobody's: a delete may remove it before it is
// locked, and another create make it again, which then finds this one in its place. Whoever
// saves the first record has it; for the other one Save fails with ErrExists, and it has
// nothing to take back.
func (r *Root) Create(id string) (*Dir, error) {
	if !plain(id) {
		return nil, fmt.Errorf("container id %q: is not a file name", id)
	}
	if err := r.make(); err != nil {
		if errors.Is(err, unix.EACCES) {
			err = fmt.Errorf("%w: run as root, or name another one with --root", err)
		}
		return nil, fmt.Errorf("make the state directory %s: %w", r.path, err)
	}
	for end := time.Now().Add(createWait); time.Now().Before(end); {
		err := unix.Mkdirat(r.fd, id, dirMode)
		if err == unix.EEXIST {
			return nil, ErrExists
		}
		if err != nil {
			return nil, fmt.Errorf("mkdir %s/%s: %w", r.path, id, err)
		}
		d, err := r.Load(id)
		if err == nil {
			if err = d.Lock(createWait); err == nil {
				d.first = true
				return d, nil
			}
			d.Close()
		}
		if !errors.Is(err, ErrNotExist) {
			// Without a descriptor nothing that is made would hold the id. With one, the name
			// may be another's directory by now.
			if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
				_ = unix.Unlinkat(r.fd, id, unix.AT_REMOVEDIR)
			}
			return nil, err
		}
	}
	return nil, fmt.Errorf("create %s/%s: another command removes it again and again", r.path, id)
}

// make makes the root where it is missing.
func (r *Root) make() error {
	if r.fd >= 0 {
		return nil
	}
	fd, err := makeDir(r.path, unix.O_PATH)
	if err != nil {
		return err
	}
	unix.Close(fd)
	return r.open()
}

// Load opens the directory of the container id, which may have no record yet.
// The error is ErrNotExist when there is none, ErrForeign, wrapped, when it is in
// another user's hands. The caller calls Close.
func (r *Root) Load(id string) (*Dir, error) {
	if r.fd < 0 || !plain(id) {
		return nil, ErrNotExist
	}
	how := &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	fd, err := sys.Openat2(r.fd, id, how)
	switch err {
	case nil:
		d := &Dir{id: id, path: r.path + "/" + id, fd: fd}
		if err := trusted(r.dev, fd, &d.st); err != nil {
			d.Close()
			return nil, fmt.Errorf("state directory %s: %w", d.path, err)
		}
		return d, nil
	case unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.EXDEV, unix.ENAMETOOLONG:
		return nil, ErrNotExist
	}
	return nil, fmt.Errorf("openat2 %s/%s: %w", r.path, id, err)
}

// List returns the ids of all containers, sorted. What is no directory is left
// out, and so is what begins with a dot.
func (r *Root) List() ([]string, error) {
	if r.fd < 0 {
		return nil, nil
	}
	names, err := r.names()
	if err != nil {
		return nil, fmt.Errorf("read the state directory %s: %w", r.path, err)
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		if !plain(name) || name[0] == '.' {
			return true
		}
		var st unix.Stat_t
		err := unix.Fstatat(r.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
		return err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR
	})
	slices.Sort(names)
	return names, nil
}

func (r *Root) names() ([]string, error) {
	if _, err := unix.Seek(r.fd, 0, 0); err != nil {
		return nil, err
	}
	var names []string
	err := sys.ReadNames(r.fd, make([]byte, 16<<10), func(name string) { names = append(names, name) })
	return names, err
}

// plain reports whether name is that of an entry of a directory.
func plain(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}
