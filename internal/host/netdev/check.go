package netdev

import (
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/fault"
)

// Check checks the names of the devices to move.
//
// Source: runtime-spec config-linux.md "Network Devices"; the kernel's
// dev_valid_name and __dev_alloc_name.
func Check(conf *check.Config) error {
	const name = "linux.netDevices"
	if len(conf.Linux.NetDevices) == 0 {
		return nil
	}
	if conf.Namespace(specs.NetworkNamespace) == nil {
		return fault.New(name, "needs a network namespace", `add {"type": "network"} to linux.namespaces`)
	}
	if conf.Rootless {
		return fault.New(name, "moving the host's network devices needs root", "remove them or run as root")
	}
	targets := map[string]string{}
	for _, host := range slices.Sorted(maps.Keys(conf.Linux.NetDevices)) {
		if !deviceName(host) {
			conf.Add(fault.New(name, fault.Quote(host)+" is no name of a network device", ""))
			continue
		}
		target := conf.Linux.NetDevices[host].Name
		element := name + "." + host + ".name"
		if target == "" {
			target = host
		} else if before, after, template := strings.Cut(target, "%d"); !deviceName(target) || strings.Contains(before+after, "%") {
			conf.Add(fault.New(element, fault.Quote(target)+" is no name of a network device", "use 1 to 15 bytes without '/', ':' or white space; %d may stand in it once"))
			continue
		} else if template {
			continue // the kernel finds a free name
		}
		if other, ok := targets[target]; ok {
			conf.Add(fault.New(element, fault.Quote(target)+" is the name of "+other+" too", "give each device its own name"))
		}
		targets[target] = host
	}
	return nil
}

// deviceName reports whether the kernel takes s as a network device's name.
func deviceName(s string) bool {
	return s != "" && len(s) < 16 && s != "." && s != ".." && !strings.ContainsAny(s, "/:\x00 \t\n\v\f\r") && strings.IndexByte(s, 0xa0) < 0
}
