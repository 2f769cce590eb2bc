package resource

import (
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// network emits the writes of net_cls and net_prio.
//
// Source: runtime-spec config-linux.md "Network"; cgroup-v1/net_cls.rst, net_prio.rst.
func (b *builder) network(n *specs.LinuxNetwork) {
	if n == nil {
		return
	}
	if id := value(n.ClassID); id != 0 &&
		b.onlyV1("network.classID", "it has no net_cls; match the cgroup's path in nftables or by eBPF") {
		b.add("network.classID", "net_cls", "net_cls.classid", decimal(id))
	}
	for i := range n.Priorities {
		p, field := &n.Priorities[i], indexed("network.priorities", i)
		if !b.onlyV1(field, "it has no net_prio; match the cgroup's path in nftables or by eBPF") {
			return
		}
		if p.Name == "" || strings.ContainsAny(p.Name, " \n") {
			b.failf("%s.%s.name: %q is not the name of a network interface", resources, field, p.Name)
			return
		}
		b.add(field, "net_prio", "net_prio.ifpriomap", p.Name+" "+decimal(p.Priority))
	}
}
