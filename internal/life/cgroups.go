package life

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/cgroup/resource"
	"github.com/hutch-project/hutch/internal/host/systemd"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/seat"
	"github.com/hutch-project/hutch/internal/uidmap"
)

// planCgroup decides where the container's cgroups will be, and their limits.
func (p *Plan) planCgroup(req *request) (err error) {
	if p.delegated, err = cgroup.Delegated(req.bundle.spec.Annotations); err != nil {
		return err
	}
	if p.delegated != "" && (req.manager == Disabled || p.host.layout.Mode != cgroup.V2) {
		return p.refuseDelegation()
	}
	if req.manager == Disabled {
		return p.leaveCgroups()
	}
	linux := req.bundle.linux()
	path := linux.CgroupsPath
	if p.unit != nil {
		path = p.host.slices + p.unit.Path()
		if p.unit.below, err = systemd.Subgroup(req.bundle.spec.Annotations); err != nil {
			return err
		}
		if p.unit.below != "" {
			path += "/" + p.unit.below
		}
	}
	if p.cgroup, err = p.host.layout.Plan(path, req.ID); err != nil {
		return err
	}
	if p.unit != nil {
		if err := p.unit.describe(req.bundle, p.cgroup.Mode(), p.host.systemd); err != nil {
			return err
		}
	}
	if res := linux.Resources; res != nil && res.CPU != nil {
		p.cgroup.Cpuset(res.CPU.Cpus, res.CPU.Mems)
	}
	p.settings, err = resource.New(linux.Resources, p.cgroup.Mode())
	return err
}

// refuseDelegation is the error of a container that is to have a cgroup of its own to manage,
// where none can be handed to it.
//
// Source: cgroups(7), "Cgroups delegation": on v1 it is not safe.
func (p *Plan) refuseDelegation() error {
	why := "with --cgroup-manager disabled the container has no cgroup"
	if p.manager != Disabled {
		why = "the host has no cgroups mounted"
		if mode := p.host.layout.Mode; mode != cgroup.None {
			why = "the host's cgroups are " + mode.String() + ", and a cgroup is handed to a container on v2 alone"
		}
	}
	return fmt.Errorf("config.json: annotations[%s]: %s; remove the annotation", cgroup.DelegateAnnotation, why)
}

// delegate moves init on to the cgroup that is the container's to manage, and hands that to the
// root of its user namespace. Its cgroup namespace is made: the container sees the limits' cgroup
// as the root, and itself in one below.
func (m *maker) delegate() error { return m.handOver(m.child.Pid) }

// handOver is delegate, but that it moves the process pid, 0 for none.
func (m *maker) handOver(pid int) error {
	uid, err := rootIn(m.child.Pid, "uid_map")
	if err != nil {
		return err
	}
	gid, err := rootIn(m.child.Pid, "gid_map")
	if err != nil {
		return err
	}
	if err = resource.Delegate(m.plan.cgroup, m.plan.delegated, pid, uid, gid); err != nil {
		err = fmt.Errorf("annotations[%s]: %w", cgroup.DelegateAnnotation, err)
	}
	return err
}

// leaveCgroups plans a container that stays in the caller's cgroups.
func (p *Plan) leaveCgroups() (err error) {
	p.cgroup = cgroup.NoPlan()
	p.settings, err = resource.New(nil, p.cgroup.Mode())
	return err
}

// makeCgroup makes the planned cgroups, unless systemd does so when init is there.
func (m *maker) makeCgroup() (undo func(), err error) {
	plan := m.plan
	// systemd needs a process to put into the scope.
	if plan.unit != nil {
		return nil, nil
	}
	undo = func() { m.r.warnIf(plan.cgroup.Undo()) }
	if err := plan.cgroup.Create(); err != nil {
		if !m.toleratesNoCgroup(err) {
			return undo, m.explainNoCgroup(err)
		}
		m.r.debug(err.Error() + ": the container stays in the caller's cgroups")
		if !plan.record.PrivatePid {
			m.r.warn("linux.namespaces: the container has neither a cgroup nor a pid namespace of its own. Such configuration is strongly discouraged, " +
				"since its processes cannot be found to be killed: add a pid namespace")
		}
		err := plan.leaveCgroups()
		plan.record.Cgroup.Paths, m.c.cg = nil, plan.cgroup.Manager()
		return nil, err
	}
	m.cgroupMade()
	return undo, m.fillCgroup()
}

// cgroupMade notes by what the directories, which are there now, are known again.
func (m *maker) cgroupMade() {
	m.plan.record.Cgroup.Inodes = m.plan.cgroup.Inodes()
	m.c.cg = m.plan.cgroup.Manager()
}

// explainNoCgroup names what a caller who may make no cgroup has asked for that needs one.
func (m *maker) explainNoCgroup(err error) error {
	if !denied(err) || seat.HostRoot() {
		return err
	}
	what := "linux.cgroupsPath"
	switch field := m.plan.settings.First(); {
	case m.plan.delegated != "":
		what = "annotations[" + cgroup.DelegateAnnotation + "]"
	case field != "":
		what = field
	case m.bundle.linux().CgroupsPath == "": // else the container would go without
		return fmt.Errorf("--rootless false needs a cgroup: %w: leave it out", err)
	}
	return fmt.Errorf("%s needs a cgroup: %w: leave it out, or have one that is delegated to the caller, by "+ownCgroup, what, err)
}

// denied reports whether the kernel lacked nothing but the right.
func denied(err error) bool {
	return errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EROFS)
}

// toleratesNoCgroup reports whether a container can go without the cgroup that could
// not be made: a caller without privilege has asked neither for its place nor for
// limits.
func (m *maker) toleratesNoCgroup(err error) bool {
	return denied(err) && !m.r.NeedCgroups && (m.r.Rootless || !seat.HostRoot()) &&
		m.bundle.linux().CgroupsPath == "" && m.plan.settings.NoLimits() && m.plan.delegated == ""
}

// fillCgroup sets the limits of the cgroups that have been made, and hands them
// to the container's user.
func (m *maker) fillCgroup() error {
	plan := m.plan
	if err := plan.settings.Apply(plan.cgroup); err != nil {
		return explainController(err)
	}
	if uid, ok := cgroupOwner(m.bundle.spec); ok {
		if err := plan.cgroup.Chown(uid, -1); err != nil {
			return err
		}
	}
	// From here on what is in the cgroups is the container's, and delete may
	// kill it. It is written down with init, without which they are empty.
	plan.record.Cgroup.Own = true
	if plan.unit == nil {
		return nil
	}
	return m.dir.Save(plan.record)
}

// cgroupOwner returns the user of the host that the container's cgroup is handed to:
// the one that process.user.uid is mapped to, when the container has a cgroup
// namespace of its own and sees its cgroups writable. The host's root has them
// anyway.
//
// Source: runtime-spec config-linux.md "Cgroup ownership".
func cgroupOwner(spec *specs.Spec) (uid int, ok bool) {
	if spec.Process == nil || spec.Linux == nil || !slices.ContainsFunc(spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
		return n.Type == specs.CgroupNamespace && n.Path == ""
	}) {
		return 0, false
	}
	if !slices.ContainsFunc(spec.Mounts, func(m specs.Mount) bool {
		return (m.Type == "cgroup" || m.Type == "cgroup2") && m.Destination == "/sys/fs/cgroup" && !slices.Contains(m.Options, "ro")
	}) {
		return 0, false
	}
	u := spec.Process.User.UID
	if !has(spec, specs.UserNamespace) {
		return int(u), u != 0
	}
	outside, ok := uidmap.Outside(spec.Linux.UIDMappings, u)
	return int(outside), ok
}

// cgroupMounts describes for mounts of type cgroup the container's cgroups, or the
// caller's, in which it stays where it has none.
func (p *Plan) cgroupMounts() *rootfs.Cgroup {
	if ms := p.cgroup.Mounts(); len(ms) > 0 {
		return cgroupsAt(ms)
	}
	if !mountsCgroup(p.bundle.spec) {
		return nil
	}
	if p.host.layout.Mode == cgroup.None && seat.HostRoot() {
		return nil // who can mount a new one
	}
	c := cgroupsAt(p.host.layout.OwnMounts())
	c.Callers = true
	return c
}

// tasks returns the number of cgroups that init enters by itself.
func (p *Plan) tasks() int {
	if p.unit != nil {
		return 0 // systemd moves it
	}
	n := 0
	for name := range p.cgroup.Paths() {
		if name != "" || p.host.Denied.Clone3 {
			n++
		}
	}
	return n
}

// cgroupsAt describes ms. The v2 part of a hybrid host is for mounts of type cgroup2
// alone: systemd would take one beside the v1 hierarchies for its own. runc and crun show
// none.
func cgroupsAt(ms []cgroup.Mount) *rootfs.Cgroup {
	cg := &rootfs.Cgroup{}
	for _, m := range ms {
		dir := strings.TrimSuffix(m.Mountpoint, "/") + m.Path
		if m.Name == "" && m.Dir == "" {
			return &rootfs.Cgroup{V2: true, Dir: dir}
		}
		if m.Name == "" {
			cg.Dir = dir
			continue
		}
		cg.Hierarchies = append(cg.Hierarchies, rootfs.Hierarchy{Name: m.Dir, Options: m.Name, Dir: dir, Links: m.Links})
	}
	return cg
}
