package namespace

import (
	"maps"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/fault"
)

// Check checks linux.namespaces: "If a namespaces field contains duplicated namespaces with
// same type, the runtime MUST generate an error."
//
// Source: runtime-spec config-linux.md "Namespaces".
func Check(conf *check.Config) error {
	for i := range conf.Linux.Namespaces {
		n := &conf.Linux.Namespaces[i]
		if Types.Find(string(n.Type)) == nil {
			conf.Add(check.Unknown(fault.At("linux.namespaces", i)+".type", string(n.Type), Types.Or(), Types.Names()...))
			continue
		}
		if conf.Namespace(n.Type) != n { // an earlier one
			conf.Add(errTwice(i, n.Type))
			continue
		}
		if n.Path != "" && !check.IsAbsolute(n.Path) {
			conf.Add(check.Absolute(fault.At("linux.namespaces", i)+".path", n.Path))
		}
	}
	return nil
}

// errTwice returns the fault of a type that stands twice.
func errTwice(i int, t specs.LinuxNamespaceType) error {
	return fault.New(fault.At("linux.namespaces", i)+".type", fault.Quote(string(t))+" stands twice", "remove one")
}

// CheckNames checks hostname and domainname: the namespace's own when it is new or
// joined, the host's otherwise.
func CheckNames(c *check.Config) error {
	for i, value := range [...]string{c.Hostname, c.Domainname} {
		name := [...]string{"hostname", "domainname"}[i]
		if value != "" && c.Namespace(specs.UTSNamespace) == nil {
			c.Add(fault.New(name, "needs a uts namespace, or it would change the host's", `add {"type": "uts"} to linux.namespaces`))
		}
		c.Add(check.String(name, value, 64)) // __NEW_UTS_LEN
	}
	return nil
}

// CheckMappings checks linux.uidMappings and linux.gidMappings.
func CheckMappings(c *check.Config) error {
	linux, n := c.Linux, c.Namespace(specs.UserNamespace)
	c.Add(check.Mappings("linux.uidMappings", linux.UIDMappings))
	c.Add(check.Mappings("linux.gidMappings", linux.GIDMappings))
	some := len(linux.UIDMappings) > 0 || len(linux.GIDMappings) > 0
	switch {
	case n == nil && some:
		return fault.New("linux.uidMappings", "there is no user namespace in linux.namespaces that they could be for",
			"add one, or leave uidMappings and gidMappings out")
	case n != nil && n.Path != "" && some:
		c.Warn("linux.uidMappings, linux.gidMappings", "the user namespace "+n.Path+" that is joined has its own, ignoring")
	case n != nil && n.Path == "" && len(linux.UIDMappings) == 0:
		return fault.New("linux.uidMappings", "missing, but the user namespace is new", "give at least one mapping")
	case n != nil && n.Path == "" && len(linux.GIDMappings) == 0:
		return fault.New("linux.gidMappings", "missing, but the user namespace is new", "give at least one mapping")
	}
	return nil
}

// CheckTimeOffsets needs a new time namespace: offsets cannot be written once a
// process is inside.
//
// Source: time_namespaces(7).
func CheckTimeOffsets(conf *check.Config) error {
	const name = "linux.timeOffsets"
	if len(conf.Linux.TimeOffsets) == 0 {
		return nil
	}
	switch n := conf.Namespace(specs.TimeNamespace); {
	case n == nil:
		return fault.New(name, "needs a time namespace", `add {"type": "time"} to linux.namespaces`)
	case n.Path != "":
		return fault.New(name, "the time namespace "+n.Path+" that is joined has its own", "remove the offsets or the path")
	}
	for _, clock := range slices.Sorted(maps.Keys(conf.Linux.TimeOffsets)) {
		if clock != "monotonic" && clock != "boottime" {
			conf.Add(fault.New(name, fault.Quote(clock)+" is no clock that can have an offset", "use monotonic or boottime"))
			continue
		}
		if n := conf.Linux.TimeOffsets[clock].Nanosecs; n > 999_999_999 {
			conf.Add(fault.New(name+"."+clock+".nanosecs", check.Number(n)+" is a second or more", "put whole seconds into secs"))
		}
	}
	return nil
}
