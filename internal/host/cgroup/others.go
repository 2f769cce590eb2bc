package cgroup

import (
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/cgroupconv"
)

// pids emits pids.max. A limit of 0 is written as 1: the container's own process
// is born inside and counts, where the kernel does not count a process that is
// moved in. Either way the process runs and cannot fork.
//
// Source: runtime-spec config-linux.md "PIDs"; cgroup-v2.rst "PID Interface Files".
func (b *builder) pids(p *specs.LinuxPids) {
	if p == nil || p.Limit == nil {
		return
	}
	text := "max"
	switch n := *p.Limit; {
	case n < cgroupconv.Unlimited:
		b.failf("%s.pids.limit: %d is not a number of processes; give -1 for no limit", resources, n)
	case n >= 0:
		text = decimal(max(n, 1))
	}
	w := b.add("pids.limit", "pids", "pids.max", text)
	if text == "1" && !b.unified {
		w.unborn = "2" // one that clones the container's process there is a member too until it ends
	}
}

// hugepages limits use and, where the kernel can (5.7), reservation.
//
// Source: runtime-spec config-linux.md "Huge page limits"; cgroup-v1/hugetlb.rst.
func (b *builder) hugepages(list []specs.LinuxHugepageLimit) {
	suffix := b.pick(".limit_in_bytes", ".max")
	for i := range list {
		size, field := list[i].Pagesize, indexed("hugepageLimits", i)
		if !pageSize(size) {
			b.failf("%s.%s.pageSize: %q: give a size as 64KB, 2MB or 1GB", resources, field, size)
			return
		}
		text := decimal(list[i].Limit)
		b.add(field, "hugetlb", "hugetlb."+size+suffix, text)
		b.add(field, "hugetlb", "hugetlb."+size+".rsvd"+suffix, text).optional = true
	}
}

// pageSize says whether s is a number and a unit: it becomes part of a file's name.
func pageSize(s string) bool {
	n := len(s) - len("KB")
	if n < 1 || s[0] == '0' || s[n+1] != 'B' || !strings.Contains("KMG", s[n:n+1]) {
		return false
	}
	return strings.Trim(s[:n], "0123456789") == ""
}

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

// rdma emits rdma.max, a line a device, in the order of the names.
//
// Source: runtime-spec config-linux.md "RDMA": "You MUST specify at least one of
// the hcaHandles or hcaObjects"; cgroup-v1/rdma.rst.
func (b *builder) rdma(m map[string]specs.LinuxRdma) {
	for _, name := range sorted(m) {
		d, field := m[name], "rdma["+name+"]"
		if name == "" || strings.ContainsAny(name, " \n") {
			b.failf("%s.rdma: %q is not the name of a device", resources, name)
			return
		}
		text := name
		if d.HcaHandles != nil {
			text += " hca_handle=" + decimal(*d.HcaHandles)
		}
		if d.HcaObjects != nil {
			text += " hca_object=" + decimal(*d.HcaObjects)
		}
		if text == name {
			b.failf("%s.%s: has no limit; give hcaHandles, hcaObjects or both", resources, field)
			return
		}
		b.add(field, "rdma", "rdma.max", text)
	}
}

// files emits linux.resources.unified, after all else, so that it has the last
// word: each line of a value is one write, as files of several keys take one key
// a write. The files that take processes are refused: they would move foreign
// processes into the container's cgroup.
//
// Source: runtime-spec config-linux.md "Unified": "Configuration unknown to the
// runtime MUST still be written to the relevant file."
func (b *builder) files(m map[string]string) {
	for _, name := range sorted(m) {
		field := "unified[" + name + "]"
		controller, _, dot := strings.Cut(name, ".")
		switch {
		case !b.unified:
			b.failf("%s.%s: this host has cgroup %s; unified is for cgroup v2", resources, field, b.mode)
			return
		case !dot || controller == "" || strings.ContainsAny(name, "/\x00"):
			b.failf("%s.unified: %q: give the name of a file as CONTROLLER.PARAMETER, with no slash", resources, name)
			return
		case name == "cgroup.procs" || name == "cgroup.threads":
			b.failf("%s.%s: takes processes, which is no resource; leave it out", resources, field)
			return
		}
		for line := range strings.Lines(m[name]) {
			if line = strings.TrimSuffix(line, "\n"); line != "" {
				b.add(field, controller, name, line)
			}
		}
	}
}

// sorted gives the keys of m in a fixed order.
func sorted[V any](m map[string]V) []string {
	if len(m) == 0 {
		return nil
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
