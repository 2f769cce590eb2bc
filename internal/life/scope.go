package life

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/dbus"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	cgdevice "github.com/hutch-project/hutch/internal/host/cgroup/device"
	"github.com/hutch-project/hutch/internal/host/systemd"
	"github.com/hutch-project/hutch/internal/seat"
)

// unit is the systemd unit of a container, which systemd's cgroup driver makes.
type unit struct {
	systemd.Unit
	user  bool   // the user's service manager makes it
	below string // the group in that of the unit that has the processes and the limits; empty for none
	props []dbus.Property
}

// newUnit returns the unit at cgroupsPath of the container id.
func newUnit(cgroupsPath, id string, bus systemd.Bus) (_ *unit, err error) {
	u := &unit{user: bus.User}
	u.Unit, err = systemd.ParsePath(cgroupsPath, id, u.user)
	return u, err
}

// describe decides the properties of the unit: the limits that systemd knows, and what
// annotations ask for.
func (u *unit) describe(b *bundle, mode cgroup.Mode, version int) (err error) {
	r := b.linux().Resources
	if u.props, err = systemd.Properties(r, cgdevice.Defaults(), mode == cgroup.V2, version); err != nil {
		return err
	}
	u.props = append(u.props, systemd.OOMPolicy(r, version)...)
	extra, err := systemd.FromAnnotations(b.spec.Annotations)
	u.props = append(u.props, extra...)
	return err
}

// dialSystemd connects to the service manager.
func (r *Runtime) dialSystemd(user bool) (*systemd.Conn, error) {
	return r.bus(user).Dial()
}

func (r *Runtime) bus(user bool) systemd.Bus {
	b := systemd.Bus{User: user, Session: r.SessionBus, RuntimeDir: r.RuntimeDir}
	if user && b.Session == "" && b.RuntimeDir == "" {
		b.RuntimeDir = sessionDir()
	}
	return b
}

// sessionDir returns the folder of the caller's login session where no variable names it, as
// in a job of cron or behind su; empty without one.
//
// Source: pam_systemd(8), XDG_RUNTIME_DIR.
func sessionDir() string {
	dir := "/run/user/" + strconv.Itoa(seat.OutsideUID())
	if unix.Access(dir+"/systemd/private", unix.W_OK) != nil {
		return ""
	}
	return dir
}

// Bus returns the service manager that containers of the caller would be made by: that of
// the user but for root. Root of a user namespace in which systemd is the first process, a
// system container, has the system's there, unless variables name a session.
func (r *Runtime) Bus() systemd.Bus {
	user := !seat.HostRoot()
	if seat.Nested() && r.SessionBus == "" && r.RuntimeDir == "" && ownsSystemd("/run/systemd/system") {
		user = false
	}
	return r.bus(user)
}

// ownsSystemd reports whether the systemd of that folder is one of the caller's user
// namespace: to others its root is nobody.
func ownsSystemd(dir string) bool {
	var st unix.Stat_t
	return unix.Stat(dir, &st) == nil && st.Uid == 0
}

// startScope has systemd make the unit with init in it, and the limits that it
// knows; then it is as if Hutch had made the cgroups itself. Init waits meanwhile.
func (m *maker) startScope() error {
	p := m.plan
	if err := m.host.bus.StartScope(p.unit.Unit, []int{m.child.Pid}, p.cgroup.Mode() == cgroup.V2, p.unit.props); err != nil {
		return fmt.Errorf("linux.cgroupsPath: %w", err)
	}
	m.scoped = true
	if err := p.cgroup.Adopt(m.child.Pid, p.unit.below != ""); err != nil {
		return err
	}
	m.cgroupMade()
	return m.fillCgroup()
}

// undoScope takes back the unit, if it has been made, with all that is in it.
func (m *maker) undoScope() {
	if m.scoped {
		m.killInit() // systemd waits for its end
		m.r.warnIf(m.plan.cgroup.Undo())
		m.r.warnIf(m.host.bus.Stop(m.plan.unit.Unit))
	}
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

// setScope sets the limits in systemd too, which would otherwise reset them to those that
// it knows, and the rights to use devices where these change.
func (c *container) setScope(res *specs.LinuxResources, devices bool) error {
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
	props, err := systemd.Properties(res, cgdevice.Defaults(), c.mode() == cgroup.V2, version)
	if !devices {
		props = slices.DeleteFunc(props, func(p dbus.Property) bool { return strings.HasPrefix(p.Name, "Device") })
	}
	if err != nil || len(props) == 0 {
		return err
	}
	return conn.SetProperties(systemd.Unit{Name: c.rec.Cgroup.Unit}, true, props)
}
