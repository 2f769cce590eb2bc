package resource

import (
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

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
