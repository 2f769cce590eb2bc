package systemd

import (
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/dbus"
	"github.com/hutch-project/hutch/internal/host/cgroup/device"
)

// versionMajor is the version of systemd that takes "char-MAJOR".
const versionMajor = 240

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
	all, list, exact, err := allowList(rules, defaults)
	if err != nil && b.err == nil {
		b.err = err
	}
	var entries []dbus.Value
	for i := range list {
		name, ok := deviceName(&list[i], b.version)
		if !ok {
			exact = false
			continue
		}
		entries = append(entries, dbus.Struct(dbus.String(name), dbus.String(list[i].Letters())))
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
func allowList(rules, defaults []specs.LinuxDeviceCgroup) (all bool, list []device.Entry, exact bool, err error) {
	exact = true
	denies := false // after what allows all
	for _, group := range [...][]specs.LinuxDeviceCgroup{rules, defaults} {
		for i := range group {
			entries, every, err := device.Entries(i, &group[i])
			if err != nil {
				return false, nil, false, err
			}
			if every {
				all, list, exact, denies = group[i].Allow, nil, true, false
				continue
			}
			for _, e := range entries {
				switch {
				case all && !group[i].Allow:
					denies = true
				case all:
				case group[i].Allow:
					list = device.Add(list, e)
				default:
					var ok bool
					list, ok = device.Remove(list, e, false)
					exact = exact && ok
				}
			}
		}
		if all && !denies {
			return true, nil, true, nil // defaults add nothing
		}
		if all {
			return false, nil, false, nil
		}
	}
	return false, list, exact, nil
}

// deviceName returns the specifier for DeviceAllow; ok is false where there is none.
func deviceName(e *device.Entry, version int) (name string, ok bool) {
	kind := pick(e.Kind == 'b', "block", "char")
	switch {
	case e.Major == device.Every && e.Minor == device.Every:
		return kind + "-*", true
	case e.Major == device.Every:
		return "", false
	case e.Minor == device.Every:
		return kind + "-" + strconv.FormatInt(e.Major, 10), version >= versionMajor
	}
	return "/dev/" + kind + "/" + strconv.FormatInt(e.Major, 10) + ":" + strconv.FormatInt(e.Minor, 10), true
}
