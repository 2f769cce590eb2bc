package life

import (
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/host/criu"
	"github.com/hutch-project/hutch/internal/host/notify"
	"github.com/hutch-project/hutch/internal/part/keyring"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/uidmap"
)

// sources finds for each mount that the images know by a key alone what the bundle has for
// it. Everything is opened before the stage is made, which covers a directory.
type sources struct {
	rs     *restoration
	spec   *specs.Spec
	fds    []int    // of the sources of binds, by mount; -1 for others
	places []string // of the mounts
	root   *rootfs.Restored
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

// passImages lets the root of the container's user namespace, as which CRIU goes on, read them.
func (rs *restoration) passImages() error {
	if !has(rs.m.bundle.spec, specs.UserNamespace) {
		return nil
	}
	l := rs.m.bundle.linux()
	uid, gid := uidmap.OutsideOr(l.UIDMappings, 0, 0), uidmap.OutsideOr(l.GIDMappings, 0, 0)
	return passOn(rs.images, rs.o.ImagePath, int(uid), int(gid))
}

// fillStage makes the mounts of the stage. All that is found by a path of the host is opened
// before the first of them is made, which could cover it.
func (rs *restoration) fillStage() error {
	src := &sources{rs: rs, spec: rs.m.bundle.spec}
	defer src.close()
	root, err := openRootPath(rs.m.bundle.dir, rs.m.bundle.rootfs)
	if err != nil {
		return &rootError{rs.m.bundle.rootfs, err}
	}
	defer unix.Close(root)
	if err := src.open(); err != nil {
		return err
	}
	others, err := src.openOthers()
	defer func() {
		for _, fd := range others {
			unix.Close(fd)
		}
	}()
	if err != nil {
		return err
	}
	if err := rs.stage.Open(root); err != nil {
		return err
	}
	defer rs.stage.Close()
	if err := src.place(); err != nil {
		return err
	}
	for i, o := range rs.out.Mounts {
		if err := src.supply(i, o.Path, others); err != nil {
			return err
		}
		if err := rs.stage.SetAttributes(i, rootfs.Attributes(o.Options)); err != nil {
			return err
		}
		rs.req.External = append(rs.req.External, criu.RestoreMount(o.Key, rs.stage.SourcePath(i)))
	}
	return nil
}

func (s *sources) close() {
	for _, fd := range s.fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// open opens the sources of the binds.
func (s *sources) open() error {
	for i := range s.spec.Mounts {
		m := &s.spec.Mounts[i]
		fd := -1
		if rootfs.IsBind(m) {
			var err error
			if fd, err = unix.Open(m.Source, unix.O_PATH|unix.O_CLOEXEC, 0); err != nil {
				return fmt.Errorf("mounts[%d]: %s: open the source %s: %w", i, m.Destination, m.Source, err)
			}
		}
		s.fds = append(s.fds, fd)
	}
	return nil
}

// openOthers opens what the runtime itself binds in a container, by where it is there: the
// directory of the notification socket, and cgroups without a namespace of theirs.
func (s *sources) openOthers() (map[string]int, error) {
	mk := s.rs.m
	others := map[string]int{}
	wanted := map[string]string{}
	for _, o := range s.rs.out.Mounts {
		if o.Path == notify.ContainerDir {
			dir, err := notify.Prepare(mk.stateDir, false)
			if err != nil {
				return nil, err
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
			return others, fmt.Errorf("open %s, for %s in the container: %w", dir, at, err)
		}
		others[at] = fd
	}
	return others, nil
}

// place makes the mount points that are missing, in the order of the configuration, and
// finds out where each is. The binds are mounted meanwhile, since further points may lie in
// them, and not when CRIU begins.
func (s *sources) place() (err error) {
	var mounted []int
	defer func() {
		for i := len(mounted) - 1; i >= 0; i-- {
			if e := detach(mounted[i]); e != nil && err == nil {
				err = e
			}
			unix.Close(mounted[i])
		}
	}()
	s.root = rootfs.NewRestored(s.rs.stage.Root, s.spec)
	for i := range s.spec.Mounts {
		mount := &s.spec.Mounts[i]
		dir := true
		if s.fds[i] >= 0 {
			var st unix.Stat_t
			if err := unix.Fstat(s.fds[i], &st); err != nil {
				return fmt.Errorf("mounts[%d]: fstat: %w", i, err)
			}
			dir = st.Mode&unix.S_IFMT == unix.S_IFDIR
		}
		fd, at, err := s.root.Mount(dir)
		if err != nil {
			return fmt.Errorf("mounts[%d]: %s: %w", i, mount.Destination, err)
		}
		s.places = append(s.places, at)
		if fd < 0 {
			continue
		}
		if s.fds[i] >= 0 {
			if err = criu.Clone(s.fds[i], rootfs.BindsTree(mount), fd, ""); err == nil {
				err = s.reopen(&mounted, at)
			}
		}
		unix.Close(fd)
		if err != nil {
			return fmt.Errorf("mounts[%d]: %s: %w", i, mount.Destination, err)
		}
	}
	return nil
}

// reopen notes what has just been mounted at the place.
func (s *sources) reopen(mounted *[]int, at string) error {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_SYMLINKS}
	fd, err := unix.Openat2(s.rs.stage.Root, at, &how)
	if err != nil {
		return fmt.Errorf("open what is mounted at %s: %w", at, err)
	}
	*mounted = append(*mounted, fd)
	return nil
}

// detach unmounts the mount that is open at fd.
func detach(fd int) error {
	if err := unix.Unmount(fmt.Sprintf("/proc/thread-self/fd/%d", fd), unix.MNT_DETACH); err != nil {
		return fmt.Errorf("umount: %w", err)
	}
	return nil
}

// supply makes the i-th source, for what is mounted at the place in the container.
func (s *sources) supply(i int, at string, others map[string]int) error {
	if fd, ok := others[at]; ok {
		return s.rs.stage.Source(i, fd, false)
	}
	for j := len(s.places) - 1; j >= 0; j-- {
		rest, below := strings.CutPrefix(at, strings.TrimSuffix(s.places[j], "/")+"/")
		if s.fds[j] < 0 || at != s.places[j] && !below {
			continue
		}
		if at == s.places[j] {
			return s.rs.stage.Source(i, s.fds[j], false)
		}
		if !rootfs.BindsTree(&s.spec.Mounts[j]) {
			continue
		}
		how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
		fd, err := unix.Openat2(s.fds[j], rest, &how)
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
