package device

import (
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Entry is an entry of a list of devices in which order has no say: the devices
// controller's of cgroup v1, and systemd's DeviceAllow.
type Entry struct {
	Kind         byte  // 'b' or 'c'
	Major, Minor int64 // or Every
	access       access
}

// Every is the number that stands for all.
const Every = -1

// Entries returns what linux.resources.devices[i] matches, an entry for each kind of device.
// all reports that it is every access to every device.
func Entries(i int, spec *specs.LinuxDeviceCgroup) (entries []Entry, all bool, err error) {
	r, err := parse(i, spec)
	if err != nil {
		return nil, false, err
	}
	return r.entries(), r.all(), nil
}

// entries returns the rule as an entry for each kind of device that it matches.
func (r *rule) entries() []Entry {
	if r.kind != 'a' {
		return []Entry{{r.kind, r.major, r.minor, r.access}}
	}
	return []Entry{{'b', r.major, r.minor, r.access}, {'c', r.major, r.minor, r.access}}
}

// all reports whether the rule matches every access to every device.
func (r *rule) all() bool {
	return r.kind == 'a' && r.major == Every && r.minor == Every && r.access == rwm
}

// Letters returns the kinds of access, of r, w and m.
func (e *Entry) Letters() string { return e.access.String() }

// String returns e as the devices controller writes it.
func (e *Entry) String() string {
	number := func(n int64) string {
		if n == Every {
			return "*"
		}
		return strconv.FormatInt(n, 10)
	}
	return string(e.Kind) + " " + number(e.Major) + ":" + number(e.Minor) + " " + e.Letters()
}

// same reports whether e and o match the same devices.
func (e *Entry) same(o *Entry) bool {
	return e.Kind == o.Kind && e.Major == o.Major && e.Minor == o.Minor
}

// covers reports whether e matches all devices that o matches.
func (e *Entry) covers(o *Entry) bool {
	return e.Kind == o.Kind && (e.Major == Every || e.Major == o.Major) && (e.Minor == Every || e.Minor == o.Minor)
}

// meets reports whether there is a device that both match.
func (e *Entry) meets(o *Entry) bool {
	return e.Kind == o.Kind && (e.Major == Every || o.Major == Every || e.Major == o.Major) &&
		(e.Minor == Every || o.Minor == Every || e.Minor == o.Minor)
}

// Add returns the list with e, whose access an entry for the same devices takes on.
func Add(list []Entry, e Entry) []Entry {
	for i := range list {
		if o := &list[i]; o.same(&e) {
			o.access |= e.access
			return list
		}
	}
	return append(list, e)
}

// Remove returns the list without e. A part cannot be taken out of a wider entry: ok is
// false then, and the wider one loses the access as a whole, or keeps it with keep.
func Remove(list []Entry, e Entry, keep bool) (_ []Entry, ok bool) {
	ok = true
	kept := list[:0]
	for _, o := range list {
		if o.meets(&e) && o.access&e.access != 0 {
			covered := e.covers(&o)
			ok = ok && covered
			if covered || !keep {
				o.access &^= e.access
			}
		}
		if o.access != 0 {
			kept = append(kept, o)
		}
	}
	return kept, ok
}
