package life

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/cgroup/limit"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/seat"
)

// planCgroup decides where the container's cgroups will be.
func (b *build) planCgroup() error {
	if b.r.CgroupManager == Disabled {
		return b.noCgroup()
	}
	l, err := cgroup.Detect(cgroup.Root)
	if err != nil {
		return err
	}
	b.layout = l
	linux := b.spec.Linux
	if linux == nil {
		linux = &specs.Linux{}
	}
	if b.r.CgroupManager == Systemd {
		err = b.planScope(linux.CgroupsPath)
	} else {
		b.cg, err = l.Plan(linux.CgroupsPath, b.o.ID)
	}
	if err != nil {
		return err
	}
	if b.limit, err = limit.New(linux.Resources, b.cg.Mode()); err != nil {
		return err
	}
	for _, name := range b.limit.Ignored() {
		b.r.warn(name + ": no kernel of today has this limit, ignoring")
	}
	return nil
}

// noCgroup leaves the container in the caller's cgroups.
func (b *build) noCgroup() (err error) {
	b.cg = cgroup.NoPlan()
	b.limit, err = limit.New(nil, b.cg.Mode())
	return err
}

// makeCgroup makes the planned cgroups, unless systemd does so when init is born.
func (b *build) makeCgroup() error {
	if b.scope != nil {
		return nil
	}
	b.onFailure(func() { b.warnIf(b.cg.Undo()) })
	if err := b.cg.Create(); err != nil {
		if b.toleratesNoCgroup(err) {
			b.r.debug(err.Error() + ": the container stays in the caller's cgroups")
			b.rec.Cgroup.Paths = nil
			return b.noCgroup()
		}
		return b.explainNoCgroup(err)
	}
	return b.fillCgroup()
}

// explainNoCgroup names what a caller who may make no cgroup has asked for that needs one.
func (b *build) explainNoCgroup(err error) error {
	if !denied(err) || seat.HostRoot() {
		return err
	}
	what := "linux.cgroupsPath"
	if field := b.limit.First(); field != "" {
		what = field
	}
	return fmt.Errorf("%s needs a cgroup: %w: leave it out, or start the runtime in a cgroup that is delegated to the caller, "+
		"as by systemd-run --user --scope --property Delegate=yes (on cgroup v2)", what, err)
}

// denied says that the kernel lacked nothing but the right.
func denied(err error) bool {
	return errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EROFS)
}

// toleratesNoCgroup says whether a container can go without the cgroup that could
// not be made: a caller without privilege has asked neither for its place nor for
// limits.
func (b *build) toleratesNoCgroup(err error) bool {
	if !denied(err) {
		return false
	}
	l := b.spec.Linux
	return (b.r.Rootless || !seat.HostRoot()) && (l == nil || l.CgroupsPath == "") && b.limit.NoLimits()
}

// fillCgroup sets the limits of the cgroups that have been made, and hands them
// to the container's user.
func (b *build) fillCgroup() error {
	if err := b.limit.Apply(b.cg); err != nil {
		return err
	}
	if uid, ok := cgroupOwner(b.spec); ok {
		if err := b.cg.Chown(uid, -1); err != nil {
			return err
		}
	}
	// From here on what is in the cgroups is the container's, and delete may
	// kill it. It is written down with init, without which they are empty.
	b.rec.Cgroup.Own = true
	if b.scope == nil {
		return nil
	}
	return b.dir.Save(b.rec)
}

// cgroupOwner is the user of the host that the container's cgroup is handed to:
// the one that process.user.uid is mapped to, when the container has a cgroup
// namespace of its own and sees its cgroups writable. The host's root has them
// anyway.
//
// Source: runtime-spec config-linux.md "Cgroup ownership".
func cgroupOwner(s *specs.Spec) (uid int, ok bool) {
	if s.Process == nil || s.Linux == nil || !slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
		return n.Type == specs.CgroupNamespace && n.Path == ""
	}) {
		return 0, false
	}
	if !slices.ContainsFunc(s.Mounts, func(m specs.Mount) bool {
		return (m.Type == "cgroup" || m.Type == "cgroup2") && m.Destination == "/sys/fs/cgroup" && !slices.Contains(m.Options, "ro")
	}) {
		return 0, false
	}
	u := s.Process.User.UID
	if !has(s, specs.UserNamespace) {
		return int(u), u != 0
	}
	for _, m := range s.Linux.UIDMappings {
		if u >= m.ContainerID && u-m.ContainerID < m.Size {
			return int(m.HostID + (u - m.ContainerID)), true
		}
	}
	return 0, false
}

// cgroupMounts describes for mounts of type cgroup the container's cgroups, or the
// caller's, in which it stays where it has none.
func (b *build) cgroupMounts() (*rootfs.Cgroup, error) {
	if ms := b.cg.Mounts(); len(ms) > 0 {
		return cgroupsAt(ms), nil
	}
	if !slices.ContainsFunc(b.spec.Mounts, func(m specs.Mount) bool { return m.Type == "cgroup" || m.Type == "cgroup2" }) {
		return nil, nil
	}
	if b.layout == nil {
		l, err := cgroup.Detect(cgroup.Root)
		if err != nil {
			return nil, err
		}
		b.layout = l
	}
	if b.layout.Mode == cgroup.None && seat.HostRoot() {
		return nil, nil // who can mount a new one
	}
	c := cgroupsAt(b.layout.OwnMounts())
	c.Callers = true
	return c, nil
}

// cgroupsAt describes ms. The v2 part of a hybrid host is for mounts of type cgroup2
// alone: systemd would take one beside the v1 hierarchies for its own. runc and crun show
// none.
func cgroupsAt(ms []cgroup.Mount) *rootfs.Cgroup {
	c := &rootfs.Cgroup{}
	for _, m := range ms {
		dir := strings.TrimSuffix(m.Mountpoint, "/") + m.Path
		if m.Name == "" && m.Dir == "" {
			return &rootfs.Cgroup{V2: true, Dir: dir}
		}
		if m.Name == "" {
			c.Dir = dir
			continue
		}
		c.Hierarchies = append(c.Hierarchies, rootfs.Hierarchy{Name: m.Dir, Options: m.Name, Dir: dir, Links: m.Links})
	}
	return c
}
