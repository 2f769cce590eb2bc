package life

import (
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/dbus"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	cgdevice "github.com/hutch-project/hutch/internal/host/cgroup/device"
	"github.com/hutch-project/hutch/internal/host/systemd"
	"github.com/hutch-project/hutch/internal/seat"
)

// scope is the unit of a container that is made by systemd's cgroup driver.
type scope struct {
	unit  systemd.Unit
	user  bool          // the user's service manager makes it
	conn  *systemd.Conn // nil while planning
	props []dbus.Property
}

// dialSystemd connects to the service manager.
func (r *Runtime) dialSystemd(user bool) (*systemd.Conn, error) {
	return systemd.Bus{User: user, Session: r.SessionBus, RuntimeDir: r.RuntimeDir}.Dial()
}

// planScope decides the unit, and with it where the container's cgroups will be.
func (b *build) planScope(path string) (err error) {
	s := &scope{user: !seat.HostRoot()}
	if s.unit, err = systemd.ParsePath(path, b.o.ID, s.user); err != nil {
		return err
	}
	root := ""
	if !b.planning {
		if s.conn, err = b.r.dialSystemd(s.user); err != nil {
			return err
		}
		b.scope = s // closed with the build
		if root, err = s.conn.Root(); err != nil {
			return err
		}
	}
	if b.cg, err = b.layout.Plan(root+s.unit.Path(), b.o.ID); err != nil {
		return err
	}
	if s.conn == nil {
		return nil
	}
	var r *specs.LinuxResources
	if b.spec.Linux != nil {
		r = b.spec.Linux.Resources
	}
	version, err := s.conn.Version()
	if err != nil {
		return err
	}
	if s.props, err = systemd.Properties(r, cgdevice.Defaults(), b.cg.Mode() == cgroup.V2, version); err != nil {
		return err
	}
	s.props = append(s.props, systemd.OOMPolicy(r, version)...)
	extra, err := systemd.FromAnnotations(b.spec.Annotations)
	s.props = append(s.props, extra...)
	return err
}

// startScope has systemd make the unit with init in it, and the limits that it
// knows; then it is as if Hutch had made the cgroups itself. Init waits meanwhile.
func (b *build) startScope() error {
	s := b.scope
	if err := s.conn.StartScope(s.unit, []int{b.child.Pid}, b.cg.Mode() == cgroup.V2, s.props); err != nil {
		return fmt.Errorf("linux.cgroupsPath: %w", err)
	}
	b.onFailure(func() {
		b.endChild()
		b.warnIf(b.cg.Undo())
		b.warnIf(s.conn.Stop(s.unit))
	})
	if err := b.cg.Adopt(b.child.Pid); err != nil {
		return err
	}
	return b.fillCgroup()
}

// stopScope ends the container's unit, whose processes have been killed. What
// systemd made on disk goes with it.
func (c *container) stopScope() error {
	conn, err := c.r.dialSystemd(c.rec.Cgroup.User)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Stop(systemd.Unit{Name: c.rec.Cgroup.Unit})
}

// setScope gives systemd the limits that it would otherwise reset to what it has
// been told before. Device rules do not change, and are left out.
func (c *container) setScope(r *specs.LinuxResources) error {
	if c.rec.Cgroup.Unit == "" {
		return nil
	}
	conn, err := c.r.dialSystemd(c.rec.Cgroup.User)
	if err != nil {
		return err
	}
	defer conn.Close()
	version, err := conn.Version()
	if err != nil {
		return err
	}
	props, err := systemd.Properties(r, nil, c.mode() == cgroup.V2, version)
	props = slices.DeleteFunc(props, func(p dbus.Property) bool { return strings.HasPrefix(p.Name, "Device") })
	if err != nil || len(props) == 0 {
		return err
	}
	return conn.SetProperties(systemd.Unit{Name: c.rec.Cgroup.Unit}, true, props)
}
