package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/sys"
	"github.com/hutch-project/hutch/internal/uidmap"
)

// Restored is the root of a container that is restored: others make the mounts, and its
// mount points have to be there, and to be known by where they are.
type Restored struct {
	root   int
	emit   Root // as which the container was made
	places []string
}

// NewRestored returns the root of the configuration s, which is at path on the host. Nothing is
// mounted in it yet.
func NewRestored(s *specs.Spec, path string) *Restored {
	r := &Restored{root: -1}
	c := &r.emit.c
	c.Spec, c.Rootfs, c.Links = s, path, Links(s.Mounts)
	if l := s.Linux; l != nil {
		c.RootUID, c.RootGID = int(uidmap.OutsideOr(l.UIDMappings, 0, 0)), int(uidmap.OutsideOr(l.GIDMappings, 0, 0))
		c.Userns = slices.ContainsFunc(l.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.UserNamespace })
	}
	for i := range s.Mounts {
		m := &s.Mounts[i]
		src := source{o: parseOptions(m.Options), dest: destination(m.Destination), link: c.Links[i]}
		src.inside = r.emit.inside(i, &src)
		r.emit.mounts = append(r.emit.mounts, src)
	}
	return r
}

// At tells where the root is: at the descriptor, on which the mounts are made.
func (r *Restored) At(root int) { r.root = root }

// OpenSource opens the source of the bind i by its path on the host; -1 is none, as of a mount
// that is no bind, or where an earlier mount brings the source.
func (r *Restored) OpenSource(i int) (int, error) {
	src := &r.emit.mounts[i]
	if !src.opens() {
		return -1, nil
	}
	how := unix.O_PATH | unix.O_CLOEXEC
	if src.o.srcNoFollow {
		how |= unix.O_NOFOLLOW
	}
	return unix.Open(r.emit.c.Spec.Mounts[i].Source, how, 0)
}

// OpenInside opens the source of the next mount where an earlier bind brings it, in the root, and
// over no symbolic link: see Root.openInside. Else it is -1.
func (r *Restored) OpenInside() (int, error) {
	inside := r.emit.mounts[len(r.places)].inside
	if inside == "" {
		return -1, nil
	}
	if _, _, fresh := r.below(inside); fresh {
		return -1, nil // it comes with what is mounted there
	}
	fd, err := sys.Openat2(r.root, inside, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: plain})
	if err != nil {
		return -1, fmt.Errorf("open source %s in the container, which no symbolic link may lead to: %w", fault.Name(inside), err)
	}
	return fd, nil
}

// Mount makes the mount point of the next mount of the configuration where it is missing,
// a directory or a file, and returns a descriptor of it, and where it is. The descriptor is
// -1 where the point is in a file system that is new, which comes with its content, and of what
// is no mount of its own.
func (r *Restored) Mount(dir bool) (fd int, place string, err error) {
	src := &r.emit.mounts[len(r.places)]
	fd, place = -1, src.dest
	if base, rest, fresh := r.below(src.dest); fresh {
		place = base + rest
	} else if src.mounts() {
		if err := MakeTarget(r.root, src.dest, dir, r.emit.c.RootUID, r.emit.c.RootGID, r.before()...); err != nil {
			return -1, "", err
		}
		if fd, place, err = r.open(src.dest); err != nil {
			return -1, "", err
		}
	}
	r.places = append(r.places, place)
	return fd, place, nil
}

// mounts reports whether the entry makes a mount.
func (s *source) mounts() bool { return !s.o.remount && s.link == "" }

// before returns the mounts so far.
func (r *Restored) before() (list []mounted) {
	for i := range r.places {
		if s := &r.emit.mounts[i]; s.mounts() {
			list = append(list, mounted{s.dest, !s.o.bind})
		}
	}
	return list
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
		s := &r.emit.mounts[i]
		if rest, ok := strings.CutPrefix(p, s.dest+"/"); ok && s.mounts() {
			return r.places[i], "/" + rest, !s.o.bind
		}
	}
	return "", "", false
}

// open opens p as if the root were "/", and returns the path that it has below it.
func (r *Restored) open(p string) (fd int, place string, err error) {
	fd, err = sys.OpenInRoot(r.root, p)
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
