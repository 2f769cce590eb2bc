// Package netdev moves network devices of the host into a container's network
// namespace. It is the parent's side. It makes no devices and sets no routes.
//
// Source: runtime-spec config-linux.md "Network Devices"; rtnetlink(7).
package netdev

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Move moves the devices, by their names in the caller's network namespace, into
// the network namespace ns (a descriptor), renames them, gives them back their
// permanent global addresses, which the kernel takes away, and brings them up. A
// new name may be a template with one "%d". After an error what was moved is moved
// back, with its name, addresses and state; routes, which the kernel removes too,
// are not restored.
//
// Errors name the device: linux.netDevices["eth1"]: STEP: reason.
func Move(devices map[string]specs.LinuxNetDevice, ns int) error {
	if len(devices) == 0 {
		return nil
	}
	names := make([]string, 0, len(devices))
	for name := range devices {
		names = append(names, name)
	}
	slices.Sort(names) // so that %d gives the same names each time
	host, err := dial()
	if err != nil {
		return fmt.Errorf("linux.netDevices: %w", err)
	}
	defer host.close()
	inside, err := dialIn(ns)
	if err != nil {
		return fmt.Errorf("linux.netDevices: enter the container's network namespace: %w", err)
	}
	defer inside.close()
	m := &mover{host: host, inside: inside, ns: ns}
	for _, name := range names {
		if err := m.move(name, devices[name].Name); err != nil {
			err = fmt.Errorf("linux.netDevices[%q]: %w", name, err)
			return errors.Join(append([]error{err}, m.back()...)...)
		}
	}
	return nil
}

type mover struct {
	host, inside *conn
	ns           int
	done         []moved
}

// moved is a device that is in the container.
type moved struct {
	was, is link
	addrs   []addr
}

// move moves one device. What it needs to be moved back is kept before anything
// else may fail.
func (m *mover) move(name, to string) error {
	if to == "" {
		to = name
	}
	for _, n := range [...]string{name, to} {
		if err := checkName(n); err != nil {
			return err
		}
	}
	was, err := m.host.find(name)
	if err != nil {
		return fmt.Errorf("find: %w", explain(err, "the host has no such network device"))
	}
	if was.flags&unix.IFF_LOOPBACK != 0 {
		return errors.New("a loopback device cannot be moved; every network namespace has its own")
	}
	addrs, err := m.host.addrs(was.index)
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	before, err := m.room(to)
	if err != nil {
		return err
	}
	if err := m.host.give(was.index, m.ns, to); err != nil {
		if errors.Is(err, unix.EINVAL) {
			err = fmt.Errorf("%w: its kind cannot leave its network namespace, or the name is not valid", err)
		}
		err = fmt.Errorf("move to the container's network namespace as %q: %w", to, err)
		// Older kernels rename after the move: the device may have gone.
		if now, found := m.inside.byIndex(was.index); found == nil && now.name == was.name && before[was.index].name != was.name {
			m.done = append(m.done, moved{was, now, addrs})
		} else {
			m.up(was)
		}
		return err
	}
	is, err := m.inside.arrived(before, to, was.index)
	if err != nil {
		return fmt.Errorf("find as %q in the container: %w", to, err)
	}
	m.done = append(m.done, moved{was, is, addrs})
	for _, a := range addrs {
		if err := m.inside.addAddr(is.index, a, was.name, is.name); err != nil {
			return fmt.Errorf("add address %s to %q in the container: %w", a.text(), is.name, err)
		}
	}
	if err := m.inside.up(is.index); err != nil {
		return fmt.Errorf("bring up %q in the container: %w", is.name, err)
	}
	return nil
}

// up brings a device of the host up again if it was: to move it, it was taken
// down.
func (m *mover) up(was link) {
	if was.flags&unix.IFF_UP != 0 {
		_ = m.host.up(was.index) // the error that led here is the one to tell
	}
}

// room lists the devices that are in the container's namespace, and refuses a
// name that one of them has.
//
// Source: config-linux.md: "If a network device with the specified name already
// exists in the container namespace, the runtime MUST generate an error, unless
// the user has provided a template".
func (m *mover) room(to string) (map[int32]link, error) {
	before, err := m.inside.links()
	if err != nil {
		return nil, fmt.Errorf("list the container's network devices: %w", err)
	}
	for _, l := range before {
		if l.name == to {
			return nil, fmt.Errorf("the container's network namespace already has a network device %q: %w", to, unix.EEXIST)
		}
	}
	return before, nil
}

// back moves what was moved back to the host, the last one first.
func (m *mover) back() (errs []error) {
	own, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return []error{fmt.Errorf("linux.netDevices: move back: open /proc/thread-self/ns/net: %w", err)}
	}
	defer unix.Close(own)
	for _, d := range slices.Backward(m.done) {
		if err := m.backOne(d, own); err != nil {
			errs = append(errs, fmt.Errorf("linux.netDevices[%q]: move back: %w", d.was.name, err))
		}
	}
	return errs
}

func (m *mover) backOne(d moved, own int) error {
	if err := m.inside.give(d.is.index, own, d.was.name); err != nil {
		return err
	}
	now, err := m.host.find(d.was.name)
	if err != nil {
		return err
	}
	for _, a := range d.addrs {
		if err := m.host.addAddr(now.index, a, d.was.name, d.was.name); err != nil {
			return fmt.Errorf("add address %s: %w", a.text(), err)
		}
	}
	if d.was.flags&unix.IFF_UP != 0 {
		return m.host.up(now.index)
	}
	return nil
}

// explain adds what ENODEV means here.
func explain(err error, text string) error {
	if errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("%s: %w", text, err)
	}
	return err
}

// checkName refuses what the kernel would, or would take for something else.
//
// Source: kernel net/core/dev.c, dev_valid_name, __dev_alloc_name.
func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
	case len(name) >= unix.IFNAMSIZ:
		return fmt.Errorf("%q is no network device's name: longer than %d bytes", name, unix.IFNAMSIZ-1)
	case strings.ContainsAny(name, "/:\x00 \t\n\v\f\r"):
	case strings.Contains(name, "%") && !isTemplate(name):
		return fmt.Errorf("%q is no network device's name: a template has one %%d and no other %%", name)
	default:
		return nil
	}
	return fmt.Errorf("%q is no network device's name", name)
}

// isTemplate reports whether the kernel puts the first free number into name.
func isTemplate(name string) bool {
	return strings.Count(name, "%") == 1 && strings.Contains(name, "%d")
}

// matches reports whether the kernel may have made name of template.
func matches(template, name string) bool {
	before, after, _ := strings.Cut(template, "%d")
	mid, ok := strings.CutPrefix(name, before)
	if ok {
		mid, ok = strings.CutSuffix(mid, after)
	}
	return ok && mid != "" && strings.Trim(mid, "0123456789") == ""
}
