package cgroup

import (
	"math"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// DefaultDevices are the rules that come after those of config.json: making any
// device node, and using null, zero, full, random, urandom, tty, pseudo terminals
// and tun. The caller may change the list.
//
// Source: runtime-spec config-linux.md "Default Devices" for most; the rest, which
// goes beyond it, is what runc has always allowed and what users rely on.
func DefaultDevices() []specs.LinuxDeviceCgroup {
	out := make([]specs.LinuxDeviceCgroup, 0, 11)
	for _, d := range defaultDevices {
		out = append(out, d.spec())
	}
	return out
}

// deviceRule is a rule in the kernel's terms.
type deviceRule struct {
	kind         byte // 'c', 'b', or 'a' for both
	major, minor int64
	access       access
	allow        bool
	field        string // config element, empty for a default rule
}

// every is the number that stands for all.
const every = -1

// access is a set of ways to use a device, with eBPF's bits.
//
// Source: include/uapi/linux/bpf.h, BPF_DEVCG_ACC_*.
type access uint8

const (
	mknod access = 1 << iota
	read
	write
	rwm = read | write | mknod
)

// String gives the letters of the devices controller.
func (a access) String() string {
	b := make([]byte, 0, 3)
	for i, c := range [...]byte{'m', 'r', 'w'} {
		if a&(1<<i) != 0 {
			b = append(b, c)
		}
	}
	return string(b)
}

var defaultDevices = [...]deviceRule{
	{'c', every, every, mknod, true, ""},
	{'b', every, every, mknod, true, ""},
	{'c', 1, 3, rwm, true, ""},       // null
	{'c', 1, 8, rwm, true, ""},       // random
	{'c', 1, 7, rwm, true, ""},       // full
	{'c', 5, 0, rwm, true, ""},       // tty
	{'c', 1, 5, rwm, true, ""},       // zero
	{'c', 1, 9, rwm, true, ""},       // urandom
	{'c', 136, every, rwm, true, ""}, // pts/*
	{'c', 5, 2, rwm, true, ""},       // ptmx
	{'c', 10, 200, rwm, true, ""},    // net/tun: runc 1.2 left it out and had to take it back
}

func (d *deviceRule) spec() specs.LinuxDeviceCgroup {
	s := specs.LinuxDeviceCgroup{Allow: d.allow, Type: string(d.kind), Access: d.access.String()}
	if d.major != every {
		major := d.major
		s.Major = &major
	}
	if d.minor != every {
		minor := d.minor
		s.Minor = &minor
	}
	return s
}

// devices is what the container may do with devices: the last rule that matches
// decides, for each kind of access by itself, and where none matches all is
// decided.
type devices struct {
	all   bool         // what holds where no rule matches
	rules []deviceRule // none of them matches all
}

// free says that every device may be used.
func (d *devices) free() bool {
	if d == nil {
		return true
	}
	for i := range d.rules {
		if !d.rules[i].allow {
			return false
		}
	}
	return d.all
}

// devicesOf reads linux.resources.devices. What stands before a rule that
// matches all has no effect and is left out. A list that does not say so denies
// what it does not allow.
func (b *builder) devicesOf(r *specs.LinuxResources) {
	d := &devices{rules: make([]deviceRule, 0, len(r.Devices)+len(defaultDevices))}
	b.devices = d
	for i := range r.Devices {
		rule, ok := b.deviceRule(i, &r.Devices[i])
		if !ok {
			return
		}
		if rule.kind == 'a' && rule.major == every && rule.minor == every && rule.access == rwm {
			d.all, d.rules = rule.allow, d.rules[:0]
			continue
		}
		d.rules = append(d.rules, rule)
	}
	if d.free() {
		d.rules = d.rules[:0]
		return
	}
	d.rules = append(d.rules, defaultDevices[:]...)
}

// deviceRule reads one rule.
//
// Source: runtime-spec config-linux.md "Allowed Device list".
func (b *builder) deviceRule(i int, s *specs.LinuxDeviceCgroup) (deviceRule, bool) {
	field := resources + "." + indexed("devices", i)
	d := deviceRule{kind: 'a', major: every, minor: every, allow: s.Allow, field: field}
	switch s.Type {
	case "", "a":
	case "b", "c":
		d.kind = s.Type[0]
	default:
		b.failf("%s.type: %q: give a, b or c", field, s.Type)
	}
	for _, n := range [...]struct {
		name string
		from *int64
		to   *int64
	}{{"major", s.Major, &d.major}, {"minor", s.Minor, &d.minor}} {
		if n.from == nil || *n.from == every {
			continue
		}
		if *n.from < every || *n.from > math.MaxUint32 {
			b.failf("%s.%s: %d is not a device number; leave it out for all", field, n.name, *n.from)
		}
		*n.to = *n.from
	}
	for _, c := range s.Access {
		at := strings.IndexRune("mrw", c)
		if at < 0 {
			b.failf("%s.access: %q: give a composition of r, w and m", field, s.Access)
			return d, false
		}
		d.access |= 1 << at
	}
	if d.access == 0 {
		b.failf("%s.access: is empty; give a composition of r, w and m", field)
	}
	return d, b.err == nil
}
