package systemd

import (
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/dbus"
)

// versionMajor is the version of systemd that takes "char-MAJOR".
const versionMajor = 240

// every is the device number that stands for all.
const every = -1

// allowed is an entry of an allow list.
type allowed struct {
	kind         byte // 'b' or 'c'
	major, minor int64
	access       uint8 // set of bits of accessLetters
}

const (
	accessLetters = "rwm"
	anyAccess     = 1<<len(accessLetters) - 1
)

// devices sets DevicePolicy and DeviceAllow from rules and, unless rules allow
// all, from defaults after them. Without, a daemon-reload would have systemd open
// all devices, on v1, or leave the container's filter alone, on v2.
//
// systemd knows allow lists, of single devices and of all minors of a major. Other
// rules it gets on v1 as the part that it can say, and none when all is allowed
// but for a list: then a daemon-reload denies too much, not too little. On v2 it
// leaves devices alone then: the filter that the container has besides is not
// systemd's to take away, and one of systemd's would deny what that one allows.
//
// A unit that runs keeps its filter on v2 when the policy becomes "auto" (seen
// with systemd 252): from a list one comes to another list, not to all devices.
//
// Source: systemd.resource-control(5), DevicePolicy, DeviceAllow.
func (b *builder) devices(rules, defaults []specs.LinuxDeviceCgroup) {
	all, list, exact := allowList(rules, defaults)
	var entries []dbus.Value
	for i := range list {
		name, ok := list[i].name(b.version)
		if !ok {
			exact = false
			continue
		}
		entries = append(entries, dbus.Struct(dbus.String(name), dbus.String(list[i].letters())))
	}
	policy := "strict"
	if all || !exact && b.v2 {
		policy, entries = "auto", nil
	}
	b.list = append(b.list,
		dbus.Property{Name: "DevicePolicy", Value: dbus.String(policy)},
		dbus.Property{Name: "DeviceAllow", Value: dbus.Array("(ss)")}) // takes away what is set
	if len(entries) > 0 {
		b.list = append(b.list, dbus.Property{Name: "DeviceAllow", Value: dbus.Array("(ss)", entries...)})
	}
}

// allowList turns rules, of which the last that matches decides, into a list on
// which order has no say. all says that every device is allowed. exact is false
// when the list allows less than the rules do, which it never does more.
func allowList(rules, defaults []specs.LinuxDeviceCgroup) (all bool, list []allowed, exact bool) {
	exact = true
	denies := false // after what allows all
	for _, group := range [...][]specs.LinuxDeviceCgroup{rules, defaults} {
		for i := range group {
			allow, kinds := read(&group[i])
			if len(kinds) == 2 && allow.major == every && allow.minor == every && allow.access == anyAccess {
				all, list, exact, denies = group[i].Allow, nil, true, false
				continue
			}
			for k := range len(kinds) {
				allow.kind = kinds[k]
				switch {
				case all && !group[i].Allow:
					denies = true
				case all:
				case group[i].Allow:
					list = add(list, allow)
				default:
					var ok bool
					list, ok = remove(list, allow)
					exact = exact && ok
				}
			}
		}
		if all && !denies {
			return true, nil, true // defaults add nothing
		}
		if all {
			return false, nil, false
		}
	}
	return false, list, exact
}

// read returns a rule as an entry for each of kinds.
func read(r *specs.LinuxDeviceCgroup) (allow allowed, kinds string) {
	allow = allowed{major: every, minor: every}
	if r.Major != nil {
		allow.major = *r.Major
	}
	if r.Minor != nil {
		allow.minor = *r.Minor
	}
	for i := range len(accessLetters) {
		if strings.IndexByte(r.Access, accessLetters[i]) >= 0 {
			allow.access |= 1 << i
		}
	}
	if r.Type == "b" || r.Type == "c" {
		return allow, r.Type
	}
	return allow, "bc"
}

func add(list []allowed, a allowed) []allowed {
	for i := range list {
		if o := &list[i]; o.kind == a.kind && o.major == a.major && o.minor == a.minor {
			o.access |= a.access
			return list
		}
	}
	return append(list, a)
}

// remove takes a out of the list. An entry that a is a part of goes whole, and ok
// is false: it would allow what the rules deny.
func remove(list []allowed, a allowed) (_ []allowed, ok bool) {
	ok = true
	kept := list[:0]
	for _, o := range list {
		meets := o.kind == a.kind && (o.major == a.major || o.major == every || a.major == every) &&
			(o.minor == a.minor || o.minor == every || a.minor == every)
		if meets && o.access&a.access != 0 {
			covered := (a.major == every || a.major == o.major) && (a.minor == every || a.minor == o.minor)
			ok = ok && covered
			o.access &^= a.access
		}
		if o.access != 0 {
			kept = append(kept, o)
		}
	}
	return kept, ok
}

// name returns the specifier for DeviceAllow; ok is false where there is none.
func (a *allowed) name(version int) (name string, ok bool) {
	kind := pick(a.kind == 'b', "block", "char")
	switch {
	case a.major == every && a.minor == every:
		return kind + "-*", true
	case a.major == every:
		return "", false
	case a.minor == every:
		return kind + "-" + strconv.FormatInt(a.major, 10), version >= versionMajor
	}
	return "/dev/" + kind + "/" + strconv.FormatInt(a.major, 10) + ":" + strconv.FormatInt(a.minor, 10), true
}

func (a *allowed) letters() string {
	b := make([]byte, 0, len(accessLetters))
	for i := range len(accessLetters) {
		if a.access&(1<<i) != 0 {
			b = append(b, accessLetters[i])
		}
	}
	return string(b)
}
