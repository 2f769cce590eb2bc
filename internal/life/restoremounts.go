package life

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/host/criu"
	"github.com/hutch-project/hutch/internal/host/notify"
	"github.com/hutch-project/hutch/internal/mountinfo"
	"github.com/hutch-project/hutch/internal/part/keyring"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/sys"
	"github.com/hutch-project/hutch/internal/uidmap"
)

// sources finds for each mount that the images know by a key alone what the bundle has for
// it. Everything of the host is opened before the stage is made, which covers a directory.
type sources struct {
	rs      *restoration
	spec    *specs.Spec
	fds     []int          // of the sources of binds, by mount; -1 for others
	others  map[string]int // of what the runtime itself binds, by where it is
	mounted []int          // of the binds that are mounted in the stage meanwhile
	places  []string       // of the mounts
	root    *rootfs.Restored
	mounts  []mountinfo.Mount // of this thread, when all of the stage is there
}

// bound is a mount of the container that is none of its images'.
type bound struct {
	at       string // where it is in the container, without symbolic links
	dev, ino uint64 // of what is mounted
	attrs    uint64 // by the configuration
	shown    shown
}

// shown is what a mount shows: a file system, by its number, and a path in it.
type shown struct{ dev, root string }

func shownBy(m *mountinfo.Mount) shown { return shown{m.Dev, m.Root} }

// shownAt returns what the mount shows whose root is open at fd.
func (s *sources) shownAt(fd int) (shown, error) {
	id := rootOfMount(fd)
	for i := range s.mounts {
		if s.mounts[i].ID == id {
			return shownBy(&s.mounts[i]), nil
		}
	}
	return shown{}, fmt.Errorf("mount %d is not in /proc/thread-self/mountinfo", id)
}

// fresh is a file system that the configuration has new.
type fresh struct {
	at, kind string
	attrs    uint64 // that its mount has at least, by the configuration
}

// prepare makes the stage in the mount namespace that CRIU is to have, on its thread.
func (rs *restoration) prepare() error {
	if err := rs.setThread(); err != nil {
		return err
	}
	if err := rs.open(); err != nil {
		return err
	}
	if err := rs.guard(); err != nil { // of what the paths lead to now
		return err
	}
	if err := rs.passImages(); err != nil {
		return err
	}
	return rs.fillStage()
}

// setThread gives the thread what the processes are to have from CRIU, whose children they are.
func (rs *restoration) setThread() (err error) {
	if !rs.m.NoNewKeyring {
		if rs.keyring, err = keyring.JoinNew(rs.m.host.keyring); err != nil {
			return err
		}
	}
	if p := rs.m.bundle.spec.Process; p != nil && p.NoNewPrivileges {
		// CRIU restores this from 3.19 on.
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("process.noNewPrivileges: prctl PR_SET_NO_NEW_PRIVS: %w", err)
		}
	}
	return nil
}

// passImages lets the root of the container's user namespace, as which CRIU goes on, read the
// images and those before them in the chain.
func (rs *restoration) passImages() error {
	if !has(rs.m.bundle.spec, specs.UserNamespace) {
		return nil
	}
	l := rs.m.bundle.linux()
	uid, gid := uidmap.OutsideOr(l.UIDMappings, 0, 0), uidmap.OutsideOr(l.GIDMappings, 0, 0)
	return imageGuard{"--image-path", int(uid)}.chain(rs.images, rs.o.ImagePath, func(fd int, path string) error {
		return passOn(fd, path, int(uid), int(gid))
	})
}

// fillStage makes the mounts of the stage. All that is found by a path of the host is opened
// before the first of them is made, which could cover it.
func (rs *restoration) fillStage() (err error) {
	spec := rs.m.bundle.spec
	src := &sources{rs: rs, spec: spec, root: rootfs.NewRestored(spec, rs.m.bundle.rootfs)}
	defer src.close()
	root, err := openRootPath(rs.m.bundle.dir, rs.m.bundle.rootfs)
	if err != nil {
		return &rootError{rs.m.bundle.rootfs, err}
	}
	defer unix.Close(root)
	if err := src.open(); err != nil {
		return err
	}
	if err := src.openOthers(); err != nil {
		return err
	}
	if err := rs.stage.Open(root); err != nil {
		return err
	}
	defer rs.stage.Close()
	defer func() { err = errors.Join(err, src.detach()) }()
	if err := src.place(); err != nil {
		return err
	}
	for i, o := range rs.out.Mounts {
		if err := src.supply(i, o.Path); err != nil {
			return err
		}
		rs.req.External = append(rs.req.External, criu.RestoreMount(o.Key, rs.stage.SourcePath(i)))
	}
	if src.mounts, err = readMounts("thread-self"); err != nil {
		return err
	}
	if rs.root, err = src.shownAt(rs.stage.Root); err != nil {
		return err
	}
	for i, o := range rs.out.Mounts {
		if err := src.setAttributes(i, &o); err != nil {
			return fmt.Errorf("%s: %w", fault.Name(o.Path), err)
		}
	}
	return nil
}

func (s *sources) close() {
	for _, fd := range s.fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	for _, fd := range s.others {
		unix.Close(fd)
	}
}

// open opens the sources of the binds.
func (s *sources) open() error {
	for i := range s.spec.Mounts {
		fd, err := s.root.OpenSource(i)
		if err != nil {
			m := &s.spec.Mounts[i]
			return fmt.Errorf("mounts[%d]: %s: open the source %s: %w", i, m.Destination, m.Source, err)
		}
		s.fds = append(s.fds, fd)
	}
	return nil
}

// openOthers opens what the runtime itself binds in a container, by where it is there: the
// directory of the notification socket, and cgroups without a namespace of theirs.
func (s *sources) openOthers() error {
	mk := s.rs.m
	s.others = map[string]int{}
	wanted := map[string]string{}
	for _, o := range s.rs.out.Mounts {
		if o.Path == notify.ContainerDir {
			dir, err := notify.Prepare(mk.stateDir, false)
			if err != nil {
				return err
			}
			wanted[o.Path] = dir
		}
	}
	if c := mk.plan.cgroupMounts(); c != nil {
		for i := range s.spec.Mounts {
			if t := s.spec.Mounts[i].Type; t != "cgroup" && t != "cgroup2" {
				continue
			}
			at := path.Clean(s.spec.Mounts[i].Destination)
			if c.Dir != "" {
				wanted[at] = c.Dir
			}
			for _, h := range c.Hierarchies {
				wanted[at+"/"+h.Name] = h.Dir
			}
		}
	}
	for at, dir := range wanted {
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open %s, for %s in the container: %w", dir, at, err)
		}
		s.others[at] = fd
	}
	return nil
}

// place makes the mount points that are missing, in the order of the configuration, and
// finds out where each is. The binds are mounted until detach, since further points and
// sources may lie in them, and not when CRIU begins.
func (s *sources) place() error {
	s.root.At(s.rs.stage.Root)
	for i := range s.spec.Mounts {
		if err := s.placeOne(i); err != nil {
			return fmt.Errorf("mounts[%d]: %s: %w", i, s.spec.Mounts[i].Destination, err)
		}
	}
	return nil
}

func (s *sources) placeOne(i int) (err error) {
	if s.fds[i] < 0 {
		if s.fds[i], err = s.root.OpenInside(); err != nil {
			return err
		}
	}
	dir := true
	if s.fds[i] >= 0 {
		var st unix.Stat_t
		if err := unix.Fstat(s.fds[i], &st); err != nil {
			return fmt.Errorf("fstat: %w", err)
		}
		dir = st.Mode&unix.S_IFMT == unix.S_IFDIR
	}
	fd, at, err := s.root.Mount(dir)
	if err != nil {
		return err
	}
	s.places = append(s.places, at)
	if fd < 0 {
		return nil
	}
	defer unix.Close(fd)
	if s.fds[i] < 0 {
		if !covered(s.spec, i) {
			s.rs.fresh = append(s.rs.fresh, fresh{at, s.spec.Mounts[i].Type, s.root.New(i)})
		}
		return nil
	}
	if err := criu.Clone(s.fds[i], rootfs.BindsTree(&s.spec.Mounts[i]), fd, ""); err != nil {
		return err
	}
	return s.reopen(i, at)
}

// reopen notes what has just been mounted at the place, the bind i, and gives it its options.
func (s *sources) reopen(i int, at string) error {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_SYMLINKS}
	fd, err := sys.Openat2(s.rs.stage.Root, at, &how)
	if err != nil {
		return fmt.Errorf("open what is mounted at %s: %w", at, err)
	}
	s.mounted = append(s.mounted, fd)
	return s.root.SetBind(i, fd)
}

// detach unmounts what place has mounted.
func (s *sources) detach() (err error) {
	for _, fd := range slices.Backward(s.mounted) {
		if e := unix.Unmount(fmt.Sprintf("/proc/thread-self/fd/%d", fd), unix.MNT_DETACH); e != nil && err == nil {
			err = fmt.Errorf("umount: %w", e)
		}
		unix.Close(fd)
	}
	return err
}

// bind returns the bind that what is mounted at the place in the container comes from, and its
// path below the source, which is empty for the bind itself; -1 for none.
func (s *sources) bind(at string) (i int, rest string) {
	for i := len(s.places) - 1; i >= 0; i-- {
		rest, below := strings.CutPrefix(at, strings.TrimSuffix(s.places[i], "/")+"/")
		switch {
		case s.fds[i] < 0:
		case at == s.places[i]:
			return i, ""
		case below && rootfs.BindsTree(&s.spec.Mounts[i]):
			return i, rest
		}
	}
	return -1, ""
}

// supply makes the i-th source, for what is mounted at the place in the container.
func (s *sources) supply(i int, at string) error {
	if fd, ok := s.others[at]; ok {
		return s.rs.stage.Source(i, fd, false)
	}
	if j, rest := s.bind(at); j >= 0 {
		if rest == "" {
			return s.rs.stage.Source(i, s.fds[j], false)
		}
		how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
		fd, err := sys.Openat2(s.fds[j], rest, &how)
		if err != nil {
			return fmt.Errorf("mounts[%d]: the checkpoint has a mount at %s: open it below the source %s: %w", j, fault.Name(at), s.spec.Mounts[j].Source, err)
		}
		defer unix.Close(fd)
		return s.rs.stage.Source(i, fd, false)
	}
	masked, err := s.masked(at)
	if err != nil {
		return err
	}
	if masked {
		return s.rs.stage.Node(i, unix.S_IFCHR|0o666, unix.Mkdev(1, 3), 0, 0)
	}
	if mode, dev, uid, gid, ok := rootfs.Device(s.spec, at); ok {
		return s.rs.stage.Node(i, mode, dev, uid, gid)
	}
	return fmt.Errorf("the checkpoint has a mount at %s, which the bundle has no source for; add it to mounts", fault.Name(at))
}

// setAttributes finds those that the configuration gives the mount that the i-th source is for,
// and gives the source those that these and the checkpoint's have in common: what it has CRIU
// can take from no mount in a user namespace, where it restores what the checkpoint has. It
// restores nothing where it takes the mount for a second one of a file system with the same.
func (s *sources) setAttributes(i int, o *outsideMount) error {
	fd, err := s.rs.stage.OpenSource(i)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	has, err := rootfs.AttributesOf(fd)
	if err != nil {
		return err
	}
	seen := rootfs.Recorded(o.Options)
	b := bound{at: o.Path}
	if b.attrs, err = s.attributes(o.Path, has, seen); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("fstat: %w", err)
	}
	b.dev, b.ino = uint64(st.Dev), st.Ino
	if b.shown, err = s.shownAt(fd); err != nil {
		return err
	}
	s.rs.bounds = append(s.rs.bounds, b)
	return rootfs.SetAttributes(fd, rootfs.Loosest(seen, b.attrs))
}

// attributes returns those that the configuration gives what is mounted at the place, by those
// that the source has, and for a device those that the checkpoint has seen.
func (s *sources) attributes(at string, has, seen uint64) (uint64, error) {
	if _, ok := s.others[at]; ok {
		if at == notify.ContainerDir {
			return has | rootfs.NotifyAttributes, nil
		}
		c := s.rs.m.plan.cgroupMounts()
		return s.root.Cgroup(at, c.Callers, has), nil
	}
	if i, rest := s.bind(at); i >= 0 {
		return s.root.Attributes(i, rest != "", has), nil
	}
	masked, err := s.masked(at)
	if masked {
		return rootfs.Masked(seen), nil
	}
	return seen, err
}

// setMounts gives the mounts of the restored container, which stands still, the options of the
// configuration: CRIU has given them those that the checkpoint had. What the container's
// processes have mounted on one is theirs.
func (rs *restoration) setMounts() error {
	mounts, err := readMounts(strconv.Itoa(rs.m.child.Pid))
	if err != nil {
		return err
	}
	return criu.InMounts(rs.m.child.Pidfd, func() error {
		root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(root)
		for i := range rs.bounds {
			if err := rs.bounds[i].set(root); err != nil {
				return fmt.Errorf("set the options of %s: %w", fault.Name(rs.bounds[i].at), err)
			}
		}
		for i := range rs.fresh {
			if err := rs.fresh[i].set(root, mounts); err != nil {
				return fmt.Errorf("set the options of %s: %w", fault.Name(rs.fresh[i].at), err)
			}
		}
		return nil
	})
}

// openMount opens what is at a place of the container, whose root is open; -1 where nothing is.
func openMount(root int, at string) (int, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_SYMLINKS}
	fd, err := sys.Openat2(root, at, &how)
	if err == unix.ENOENT || err == unix.ENOTDIR || err == unix.ELOOP {
		return -1, nil
	}
	if err != nil {
		return -1, fmt.Errorf("open it: %w", err)
	}
	return fd, nil
}

// set adds the attributes to those of the mount, where it is the only one at its place.
func (f *fresh) set(root int, mounts []mountinfo.Mount) error {
	here := slices.DeleteFunc(slices.Clone(mounts), func(m mountinfo.Mount) bool { return m.Point != f.at })
	if len(here) != 1 || here[0].Root != "/" || here[0].Type != f.kind {
		return nil
	}
	fd, err := openMount(root, f.at)
	if err != nil || fd < 0 {
		return err
	}
	defer unix.Close(fd)
	if rootOfMount(fd) != here[0].ID {
		return nil
	}
	has, err := rootfs.AttributesOf(fd)
	if err != nil {
		return err
	}
	return rootfs.SetAttributes(fd, has|f.attrs)
}

// set gives the mount its attributes, where it is the one that is seen below root.
func (b *bound) set(root int) error {
	fd, err := openMount(root, b.at)
	if err != nil || fd < 0 {
		return err
	}
	defer unix.Close(fd)
	if is, err := b.is(fd); err != nil || !is {
		return err
	}
	return rootfs.SetAttributes(fd, b.attrs)
}

// is reports whether what is mounted is open at fd, and not something in another mount.
func (b *bound) is(fd int) (bool, error) {
	var st unix.Stat_t
	var x unix.Statx_t
	err := unix.Fstat(fd, &st)
	if err == nil {
		err = unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_TYPE, &x)
	}
	if err != nil {
		return false, fmt.Errorf("stat: %w", err)
	}
	return uint64(st.Dev) == b.dev && st.Ino == b.ino && x.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// masked reports whether the configuration masks what is at the place.
func (s *sources) masked(at string) (bool, error) {
	for _, p := range s.rs.m.bundle.linux().MaskedPaths {
		place, err := s.root.Place(p)
		if err != nil {
			return false, fmt.Errorf("linux.maskedPaths: %w", err)
		}
		if place == at {
			return true, nil
		}
	}
	return false, nil
}
