package systemd

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hutch-project/hutch/internal/dbus"
)

const (
	service    = "org.freedesktop.systemd1"
	objectPath = "/org/freedesktop/systemd1"
	manager    = service + ".Manager"
)

// managerMethod returns a method of systemd's manager object.
func managerMethod(member string) dbus.Method {
	return dbus.Method{Destination: service, Path: objectPath, Interface: manager, Member: member}
}

// call calls a method; its errors are of this package where they have a name here.
func (c *Conn) call(m dbus.Method, args ...dbus.Value) (*dbus.Message, error) {
	answer, err := c.bus.Call(m, args...)
	if err != nil && !errors.Is(err, dbus.ErrTimeout) { // that one fail explains
		err = explain(err, c.user)
	}
	return answer, err
}

// StartScope makes the transient scope u with the processes pids, whose limits
// are in force when it returns. v2 is the layout of the host's cgroups. All is
// sent in one message, props last, so that they may change what is set here. A
// unit of the same name that has failed or ended is taken away; one that runs is
// ErrUnitExists. After ErrTimeout systemd may still make the unit, which ends
// with its processes.
//
// Source: org.freedesktop.systemd1(5), StartTransientUnit; systemd.scope(5).
func (c *Conn) StartScope(u Unit, pids []int, v2 bool, props []dbus.Property) error {
	c.begin("StartTransientUnit " + u.Name)
	if u.isSlice() {
		return c.fail(fmt.Errorf("systemd takes processes into scopes, not into slices; "+
			"give linux.cgroupsPath a third part without %q", ".slice"))
	}
	list := append(scopeProperties(u, pids, v2), props...)
	err := c.start(u, list)
	if errors.Is(err, ErrUnitExists) {
		_ = c.reset(u) // does nothing to a unit that runs: the second attempt fails then
		err = c.start(u, list)
	}
	return c.fail(err)
}

// scopeProperties are what each scope has.
func scopeProperties(u Unit, pids []int, v2 bool) []dbus.Property {
	members := make([]dbus.Value, len(pids))
	for i, pid := range pids {
		members[i] = dbus.Uint32(uint32(pid))
	}
	// Accounting returns the controllers to the scope's cgroup. On v1 systemd
	// ignores BlockIO* once an IO* property is set.
	return []dbus.Property{
		{Name: "Description", Value: dbus.String("hutch container " + u.Name)},
		{Name: "Slice", Value: dbus.String(u.Slice)},
		{Name: "PIDs", Value: dbus.Array("u", members...)},
		{Name: "Delegate", Value: dbus.Bool(true)},
		{Name: "DefaultDependencies", Value: dbus.Bool(false)},
		{Name: "MemoryAccounting", Value: dbus.Bool(true)},
		{Name: "CPUAccounting", Value: dbus.Bool(true)},
		{Name: pick(v2, "IOAccounting", "BlockIOAccounting"), Value: dbus.Bool(true)},
		{Name: "TasksAccounting", Value: dbus.Bool(true)},
	}
}

// start starts the unit once.
func (c *Conn) start(u Unit, list []dbus.Property) error {
	err := c.job(u, managerMethod("StartTransientUnit"),
		dbus.String(u.Name), dbus.String("replace"), dbus.Properties(list), dbus.Array("(sa(sv))"))
	if errors.Is(err, ErrJob) {
		_ = c.reset(u) // the job's end is the error to tell
	}
	return err
}

// Stop stops the unit, waits until it is gone, and forgets that it may have
// failed. A unit that is not there is no error. systemd sends SIGTERM to members
// that are left, and SIGKILL after a while: end them first.
func (c *Conn) Stop(u Unit) error {
	c.begin("StopUnit " + u.Name)
	err := c.job(u, managerMethod("StopUnit"), dbus.String(u.Name), dbus.String("replace"))
	if err == nil || errors.Is(err, ErrNoUnit) || errors.Is(err, ErrJob) {
		if e := c.reset(u); err == nil || errors.Is(err, ErrNoUnit) {
			err = e
		}
	}
	return c.fail(err)
}

// reset lets systemd forget a unit that has failed. That there is none is no error.
func (c *Conn) reset(u Unit) error {
	_, err := c.call(managerMethod("ResetFailedUnit"), dbus.String(u.Name))
	if errors.Is(err, ErrNoUnit) {
		return nil
	}
	return err
}

// Attach moves the process into the cgroup of the unit, or into the one at path below it;
// who owns the service manager, and the process, needs no right to write either cgroup.
//
// Source: org.freedesktop.systemd1(5), AttachProcessesToUnit.
func (c *Conn) Attach(u Unit, path string, pid int) error {
	c.begin("AttachProcessesToUnit " + u.Name)
	if path != "" {
		path = "/" + path
	}
	_, err := c.call(managerMethod("AttachProcessesToUnit"),
		dbus.String(u.Name), dbus.String(path), dbus.Array("u", dbus.Uint32(uint32(pid))))
	return c.fail(err)
}

// SetProperties changes properties of the unit: until it ends when runtime is
// true, and for ever otherwise, which makes no sense for a scope.
func (c *Conn) SetProperties(u Unit, runtime bool, props []dbus.Property) error {
	c.begin("SetUnitProperties " + u.Name)
	_, err := c.call(managerMethod("SetUnitProperties"), dbus.String(u.Name), dbus.Bool(runtime), dbus.Properties(props))
	return c.fail(err)
}

// ControlGroup returns the unit's cgroup, from the root of the hierarchy: empty
// when it has none, as a unit that does not run.
func (c *Conn) ControlGroup(u Unit) (string, error) {
	c.begin("get ControlGroup of " + u.Name)
	s, err := c.property(objectPath+"/unit/"+escapePath(u.Name), service+pick(u.isSlice(), ".Slice", ".Scope"), "ControlGroup")
	return s, c.fail(err)
}

// Root returns the manager's own cgroup, below which its units are: that of a
// user's manager, as "/user.slice/user-1000.slice/user@1000.service", and empty
// for the system's, unless that is inside of a container.
func (c *Conn) Root() (string, error) {
	c.begin("get ControlGroup")
	s, err := c.property(objectPath, manager, "ControlGroup")
	return strings.TrimRight(s, "/"), c.fail(err)
}

// Version returns systemd's version: 252 for "252.39-1~deb12u2".
func (c *Conn) Version() (int, error) {
	if c.version != 0 {
		return c.version, nil
	}
	c.begin("get Version")
	s, err := c.property(objectPath, manager, "Version")
	if err == nil {
		c.version, err = parseVersion(s)
	}
	return c.version, c.fail(err)
}

func parseVersion(s string) (int, error) {
	digits := strings.TrimPrefix(s, "v")
	end := 0
	for end < len(digits) && '0' <= digits[end] && digits[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(digits[:end])
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a version", s)
	}
	return n, nil
}

// property gets a property of type s.
func (c *Conn) property(path, iface, name string) (string, error) {
	m, err := c.call(dbus.Method{
		Destination: service, Path: path, Interface: "org.freedesktop.DBus.Properties", Member: "Get",
	}, dbus.String(iface), dbus.String(name))
	if err != nil {
		return "", err
	}
	if m.Signature != "v" || m.Body.Signature() != "s" {
		return "", dbus.ErrMalformed
	}
	s := m.Body.String()
	if m.Body.Bad() {
		return "", dbus.ErrMalformed
	}
	return s, nil
}

// job calls a method that queues a job of u, and waits for its end.
//
// Subscribe is not called: systemd tells a job's end to who has queued it, and
// subscribers have it send all that happens to all units.
func (c *Conn) job(unit Unit, m dbus.Method, args ...dbus.Value) error {
	if err := c.watch(unit); err != nil {
		return err
	}
	answer, err := c.call(m, args...)
	if err != nil {
		return err
	}
	path := answer.Body.String()
	if answer.Signature != "o" || answer.Body.Bad() {
		return dbus.ErrMalformed
	}
	for {
		for i, j := range c.jobs {
			// The sender too: on a bus anybody may send us signals.
			if j.path != path || j.sender != answer.Sender {
				continue
			}
			c.jobs = slices.Delete(c.jobs, i, i+1)
			if j.result != "done" {
				return fmt.Errorf("%w: its result is %q; see systemctl %sstatus %s",
					ErrJob, j.result, pick(c.user, "--user ", ""), unit.Name)
			}
			return nil
		}
		if _, err := c.bus.Receive(); err != nil { // signal keeps the ends of jobs
			return err
		}
	}
}

// watch asks the bus for the ends of the unit's jobs. Its answer comes with the
// next call's. systemd's own socket tells all without being asked.
func (c *Conn) watch(unit Unit) error {
	if slices.Contains(c.watched, unit.Name) {
		return nil
	}
	c.watched = append(c.watched, unit.Name)
	c.jobs = c.jobs[:0]
	if c.direct {
		return nil
	}
	forget := func() { c.watched = nil } // a rule that the bus has refused is asked for again
	return c.bus.Post(dbus.BusMethod("AddMatch"), forget, dbus.String("type='signal',sender='"+service+"',path='"+objectPath+
		"',interface='"+manager+"',member='JobRemoved',arg2='"+unit.Name+"'"))
}

// mostJobs bounds what is kept of a peer that tells of jobs that are not ours.
const mostJobs = 64

// signal keeps the ends of jobs and drops all other signals.
func (c *Conn) signal(m *dbus.Message) {
	if m.Member != "JobRemoved" || m.Interface != manager || m.Path != objectPath || m.Signature != "uoss" {
		return
	}
	m.Body.Uint32()
	j := job{sender: m.Sender, path: m.Body.String(), unit: m.Body.String(), result: m.Body.String()}
	if m.Body.Bad() || !slices.Contains(c.watched, j.unit) {
		return
	}
	if len(c.jobs) == mostJobs {
		c.jobs = slices.Delete(c.jobs, 0, 1)
	}
	c.jobs = append(c.jobs, j)
}

// escapePath makes a unit's name part of an object path.
//
// Source: sd_bus_path_encode(3).
func escapePath(name string) string {
	const digits = "0123456789abcdef"
	b := make([]byte, 0, 2*len(name))
	for i := range len(name) {
		c := name[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || i > 0 && '0' <= c && c <= '9' {
			b = append(b, c)
		} else {
			b = append(b, '_', digits[c>>4], digits[c&15])
		}
	}
	return string(b)
}
