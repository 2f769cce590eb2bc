// Package device decides what a container may do with devices: it turns
// linux.resources.devices into an eBPF program for cgroup v2 and into the writes of
// the devices controller for v1, and sets them.
//
// It is about the right to use a device, not about the nodes in /dev.
//
// Source: runtime-spec config-linux.md "Allowed Device list"; cgroup-v2.rst "Device
// controller"; cgroup-v1/devices.rst.
package device

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Defaults returns the rules that come after those of config.json: making any
// device node, and using null, zero, full, random, urandom, tty, pseudo terminals
// and tun. The caller may change the list.
//
// Source: runtime-spec config-linux.md "Default Devices" for most; the rest, which
// goes beyond it, is what runc has always allowed and what users rely on.
func Defaults() []specs.LinuxDeviceCgroup {
	out := make([]specs.LinuxDeviceCgroup, 0, 11)
	for _, d := range defaults {
		out = append(out, d.spec())
	}
	return out
}

// rule is a rule in the kernel's terms.
type rule struct {
	kind         byte // 'c', 'b', or 'a' for both
	major, minor int64
	access       access
	allow        bool
	field        string // config element, empty for a default rule
}

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

// letters are those of the devices controller and of systemd, each with its access, in the
// order of the specification.
var letters = [...]struct {
	letter byte
	access access
}{{'r', read}, {'w', write}, {'m', mknod}}

// String returns the letters of the set.
func (a access) String() string {
	b := make([]byte, 0, len(letters))
	for _, l := range letters {
		if a&l.access != 0 {
			b = append(b, l.letter)
		}
	}
	return string(b)
}

var defaults = [...]rule{
	{'c', Every, Every, mknod, true, ""},
	{'b', Every, Every, mknod, true, ""},
	{'c', 1, 3, rwm, true, ""},       // null
	{'c', 1, 8, rwm, true, ""},       // random
	{'c', 1, 7, rwm, true, ""},       // full
	{'c', 5, 0, rwm, true, ""},       // tty
	{'c', 1, 5, rwm, true, ""},       // zero
	{'c', 1, 9, rwm, true, ""},       // urandom
	{'c', 136, Every, rwm, true, ""}, // pts/*
	{'c', 5, 2, rwm, true, ""},       // ptmx
	{'c', 10, 200, rwm, true, ""},    // net/tun: runc 1.2 left it out and had to take it back
}

func (d *rule) spec() specs.LinuxDeviceCgroup {
	s := specs.LinuxDeviceCgroup{Allow: d.allow, Type: string(d.kind), Access: d.access.String()}
	if d.major != Every {
		major := d.major
		s.Major = &major
	}
	if d.minor != Every {
		minor := d.minor
		s.Minor = &minor
	}
	return s
}

// Rules is what the container may do with devices: the last rule that matches decides,
// for each kind of access by itself, and where none matches all is decided. A nil Rules
// is that of a host without cgroups.
type Rules struct {
	all   bool   // what holds where no rule matches
	rules []rule // none of them matches all
}

// field is the element of config.json that the rules are from.
const field = "linux.resources.devices"

// New returns the rules of linux.resources.devices with the defaults after them. What
// stands before a rule that matches all has no effect and is left out. A list that does
// not say so denies what it does not allow.
func New(list []specs.LinuxDeviceCgroup) (*Rules, error) {
	rules := &Rules{rules: make([]rule, 0, len(list)+len(defaults))}
	for i := range list {
		r, err := parse(i, &list[i])
		if err != nil {
			return nil, err
		}
		if r.all() {
			rules.all, rules.rules = r.allow, rules.rules[:0]
			continue
		}
		rules.rules = append(rules.rules, r)
	}
	if rules.free() {
		rules.rules = rules.rules[:0]
		return rules, nil
	}
	rules.rules = append(rules.rules, defaults[:]...)
	return rules, nil
}

// free reports whether every device may be used.
func (d *Rules) free() bool {
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

// Equal reports whether two lists of rules have one meaning, rule by rule.
func (d *Rules) Equal(o *Rules) bool {
	if d == nil || o == nil {
		return d == o
	}
	return d.all == o.all && slices.EqualFunc(d.rules, o.rules, func(a, b rule) bool {
		a.field, b.field = "", ""
		return a == b
	})
}

// parse reads the rule i of the list.
//
// Source: runtime-spec config-linux.md "Allowed Device list".
func parse(i int, spec *specs.LinuxDeviceCgroup) (rule, error) {
	at := field + "[" + strconv.Itoa(i) + "]"
	r := rule{kind: 'a', major: Every, minor: Every, allow: spec.Allow, field: at}
	switch spec.Type {
	case "", "a":
	case "b", "c":
		r.kind = spec.Type[0]
	default:
		return r, fmt.Errorf("%s.type: %q: give a, b or c", at, spec.Type)
	}
	for _, n := range [...]struct {
		name string
		from *int64
		to   *int64
	}{{"major", spec.Major, &r.major}, {"minor", spec.Minor, &r.minor}} {
		if n.from == nil || *n.from == Every {
			continue
		}
		if *n.from < Every || *n.from > math.MaxUint32 {
			return r, fmt.Errorf("%s.%s: %d is not a device number; leave it out for all", at, n.name, *n.from)
		}
		*n.to = *n.from
	}
	if spec.Access == "" {
		return r, fmt.Errorf("%s.access: is empty; give a composition of r, w and m", at)
	}
	for _, l := range letters { // others are left out, as by runc
		if strings.IndexByte(spec.Access, l.letter) >= 0 {
			r.access |= l.access
		}
	}
	if r.access == 0 {
		return r, fmt.Errorf("%s.access: %q: give a composition of r, w and m", at, spec.Access)
	}
	return r, nil
}
