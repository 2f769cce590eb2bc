package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/uidmap"
)

// Restored is the root of a container that is restored: others make the mounts, and its
// mount points have to be there, and to be known by where they are.
type Restored struct {
	root   int
	spec   *specs.Spec
	uid    int
	gid    int
	before []mounted
	places []string // of the mounts so far, without symbolic links
}

// NewRestored returns the root at the descriptor root of the configuration s, in which
// nothing is mounted yet.
func NewRestored(root int, s *specs.Spec) *Restored {
	r := &Restored{root: root, spec: s}
	if l := s.Linux; l != nil {
		r.uid, r.gid = int(uidmap.OutsideOr(l.UIDMappings, 0, 0)), int(uidmap.OutsideOr(l.GIDMappings, 0, 0))
	}
	return r
}

// Mount makes the mount point of the next mount of the configuration where it is missing,
// a directory or a file, and returns a descriptor of it, and where it is. The descriptor is
// -1 where the point is in a file system that is new, which comes with its content.
func (r *Restored) Mount(dir bool) (fd int, place string, err error) {
	mnt := &r.spec.Mounts[len(r.places)]
	dest := destination(mnt.Destination)
	fd = -1
	if base, rest, fresh := r.below(dest); fresh {
		place = base + rest
	} else {
		if err := MakeTarget(r.root, dest, dir, r.uid, r.gid, r.before...); err != nil {
			return -1, "", err
		}
		if fd, place, err = r.open(dest); err != nil {
			return -1, "", err
		}
	}
	r.before = append(r.before, mounted{dest, !IsBind(mnt)})
	r.places = append(r.places, place)
	return fd, place, nil
}

// Place returns where the path of the configuration is in the container.
func (r *Restored) Place(p string) (string, error) {
	p = destination(p)
	if base, rest, fresh := r.below(p); fresh {
		return base + rest, nil
	}
	fd, place, err := r.open(p)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return p, nil
	}
	if err != nil {
		return "", err
	}
	unix.Close(fd)
	return place, nil
}

// below returns the place of the last mount that p is below, what is left of p, and
// whether the mount is a new file system, where no symbolic link is looked for.
func (r *Restored) below(p string) (place, rest string, fresh bool) {
	for i := len(r.places) - 1; i >= 0; i-- {
		if rest, ok := strings.CutPrefix(p, r.before[i].dest+"/"); ok {
			return r.places[i], "/" + rest, r.before[i].fresh
		}
	}
	return "", "", false
}

// open opens p as if the root were "/", and returns the path that it has below it.
func (r *Restored) open(p string) (fd int, place string, err error) {
	fd, err = unix.Openat2(r.root, p, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: inRoot})
	if err != nil {
		return -1, "", fmt.Errorf("open %s in the root file system: %w", p, err)
	}
	self := "/proc/thread-self/fd/"
	above, err := os.Readlink(self + strconv.Itoa(r.root))
	if err == nil {
		place, err = os.Readlink(self + strconv.Itoa(fd))
	}
	if err != nil {
		unix.Close(fd)
		return -1, "", err
	}
	rest, ok := strings.CutPrefix(place, strings.TrimSuffix(above, "/"))
	if !ok {
		unix.Close(fd)
		return -1, "", fmt.Errorf("%s is not below the root file system", p)
	}
	return fd, path.Clean("/" + rest), nil
}

// Device returns the node at the path of a container's device, configured or by default,
// with its mode, number and owner as the caller sees them.
func Device(s *specs.Spec, p string) (mode uint32, dev uint64, uid, gid int, ok bool) {
	r := &Root{c: Config{Spec: s}}
	for _, n := range r.nodes() {
		if n.path == p {
			uid, gid := r.hostIDs(&n)
			return n.kind | n.mode, unix.Mkdev(n.major, n.minor), int(uid), int(gid), true
		}
	}
	return 0, 0, 0, 0, false
}
