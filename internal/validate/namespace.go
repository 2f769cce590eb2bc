package validate

import (
	"maps"
	"math"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// space is a kind of namespace.
type space int

const (
	pid space = iota
	network
	mount
	ipc
	uts
	userSpace
	cgroup
	timeSpace
	spaceCount
)

// spaceOf returns the kind that a type of linux.namespaces stands for.
func spaceOf(t specs.LinuxNamespaceType) (space, bool) {
	switch t {
	case specs.PIDNamespace:
		return pid, true
	case specs.NetworkNamespace:
		return network, true
	case specs.MountNamespace:
		return mount, true
	case specs.IPCNamespace:
		return ipc, true
	case specs.UTSNamespace:
		return uts, true
	case specs.UserNamespace:
		return userSpace, true
	case specs.CgroupNamespace:
		return cgroup, true
	case specs.TimeNamespace:
		return timeSpace, true
	}
	return 0, false
}

// namespaces: "If a namespaces field contains duplicated namespaces with same
// type, the runtime MUST generate an error."
//
// Source: runtime-spec config-linux.md "Namespaces".
func (c *checker) namespaces() error {
	for i := range c.linux.Namespaces {
		n := &c.linux.Namespaces[i]
		kind, ok := spaceOf(n.Type)
		if !ok {
			return unknown(at("linux.namespaces", i)+".type", string(n.Type), "pid, network, mount, ipc, uts, user, cgroup or time")
		}
		if c.spaces[kind] != nil {
			return fault(at("linux.namespaces", i)+".type", quote(string(n.Type))+" stands twice", "remove one")
		}
		c.spaces[kind] = n
		if n.Path != "" && !isAbsolute(n.Path) {
			return absolute(at("linux.namespaces", i)+".path", n.Path)
		}
	}
	return nil
}

// names checks hostname and domainname: the namespace's own when it is new or
// joined, the host's otherwise.
func (c *checker) names() error {
	for i, value := range [...]string{c.Hostname, c.Domainname} {
		name := [...]string{"hostname", "domainname"}[i]
		if value != "" && c.spaces[uts] == nil {
			return fault(name, "needs a uts namespace, or it would change the host's", `add {"type": "uts"} to linux.namespaces`)
		}
		if err := cstring(name, value, 64); err != nil { // __NEW_UTS_LEN
			return err
		}
	}
	return nil
}

// maxMappings is the number of lines that the kernel takes in a map file.
//
// Source: user_namespaces(7).
const maxMappings = 340

// mappings checks linux.uidMappings and linux.gidMappings.
func (c *checker) mappings() error {
	l, n := c.linux, c.spaces[userSpace]
	if err := mappings("linux.uidMappings", l.UIDMappings); err != nil {
		return err
	}
	if err := mappings("linux.gidMappings", l.GIDMappings); err != nil {
		return err
	}
	some := len(l.UIDMappings) > 0 || len(l.GIDMappings) > 0
	switch {
	case n == nil && some:
		return fault("linux.uidMappings", "there is no user namespace in linux.namespaces that they could be for", "add one, or leave uidMappings and gidMappings out")
	case n != nil && n.Path != "" && some:
		c.warn("linux.uidMappings, linux.gidMappings", "the user namespace "+n.Path+" that is joined has its own, ignoring")
	case n != nil && n.Path == "" && len(l.UIDMappings) == 0:
		return fault("linux.uidMappings", "missing, but the user namespace is new", "give at least one mapping")
	case n != nil && n.Path == "" && len(l.GIDMappings) == 0:
		return fault("linux.gidMappings", "missing, but the user namespace is new", "give at least one mapping")
	}
	return nil
}

// mappings refuses a list that the kernel would refuse: with an empty mapping,
// with ids beyond the last one, with overlaps on either side, or too long.
//
// Source: user_namespaces(7) "Defining user and group ID mappings".
func mappings(name string, list []specs.LinuxIDMapping) error {
	if len(list) > maxMappings {
		return fault(name, number(len(list))+" mappings are more than the 340 that the kernel takes", "")
	}
	for i, m := range list {
		if m.Size == 0 {
			return fault(at(name, i)+".size", "is 0", "give the number of ids to map")
		}
		if uint64(m.ContainerID)+uint64(m.Size) > math.MaxUint32 || uint64(m.HostID)+uint64(m.Size) > math.MaxUint32 {
			return fault(at(name, i), "goes beyond the last id", "lower size")
		}
		for j, o := range list[:i] {
			if overlap(m.ContainerID, o.ContainerID, m.Size, o.Size) || overlap(m.HostID, o.HostID, m.Size, o.Size) {
				return fault(at(name, i), "overlaps "+at(name, j), "map each id once")
			}
		}
	}
	return nil
}

func overlap(a, b, sizeA, sizeB uint32) bool {
	return uint64(a) < uint64(b)+uint64(sizeB) && uint64(b) < uint64(a)+uint64(sizeA)
}

// mapped tells whether list has the container's id.
func mapped(list []specs.LinuxIDMapping, id uint32) bool {
	for _, m := range list {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return true
		}
	}
	return false
}

// timeOffsets needs a new time namespace: offsets cannot be written once a
// process is inside.
//
// Source: time_namespaces(7).
func (c *checker) timeOffsets() error {
	const name = "linux.timeOffsets"
	if len(c.linux.TimeOffsets) == 0 {
		return nil
	}
	switch n := c.spaces[timeSpace]; {
	case n == nil:
		return fault(name, "needs a time namespace", `add {"type": "time"} to linux.namespaces`)
	case n.Path != "":
		return fault(name, "the time namespace "+n.Path+" that is joined has its own", "remove the offsets or the path")
	}
	for _, clock := range slices.Sorted(maps.Keys(c.linux.TimeOffsets)) {
		if clock != "monotonic" && clock != "boottime" {
			return fault(name, quote(clock)+" is no clock that can have an offset", "use monotonic or boottime")
		}
		if n := c.linux.TimeOffsets[clock].Nanosecs; n > 999_999_999 {
			return fault(name+"."+clock+".nanosecs", number(n)+" is a second or more", "put whole seconds into secs")
		}
	}
	return nil
}

// netDevices checks the names of the devices to move.
//
// Source: runtime-spec config-linux.md "Network Devices"; the kernel's
// dev_valid_name and __dev_alloc_name.
func (c *checker) netDevices() error {
	const name = "linux.netDevices"
	if len(c.linux.NetDevices) == 0 {
		return nil
	}
	if c.spaces[network] == nil {
		return fault(name, "needs a network namespace", `add {"type": "network"} to linux.namespaces`)
	}
	if c.options.Rootless {
		return fault(name, "moving the host's network devices needs root", "remove them or run as root")
	}
	targets := map[string]string{}
	for _, host := range slices.Sorted(maps.Keys(c.linux.NetDevices)) {
		if !deviceName(host) {
			return fault(name, quote(host)+" is no name of a network device", "")
		}
		target := c.linux.NetDevices[host].Name
		element := name + "." + host + ".name"
		if target == "" {
			target = host
		} else if before, after, template := strings.Cut(target, "%d"); !deviceName(target) || strings.Contains(before+after, "%") {
			return fault(element, quote(target)+" is no name of a network device", "use 1 to 15 bytes without '/', ':' or white space; %d may stand in it once")
		} else if template {
			continue // the kernel finds a free name
		}
		if other, ok := targets[target]; ok {
			return fault(element, quote(target)+" is the name of "+other+" too", "give each device its own name")
		}
		targets[target] = host
	}
	return nil
}

// deviceName tells whether the kernel takes s as a network device's name.
func deviceName(s string) bool {
	return s != "" && len(s) < 16 && s != "." && s != ".." && !strings.ContainsAny(s, "/:\x00 \t\n\v\f\r") && strings.IndexByte(s, 0xa0) < 0
}
