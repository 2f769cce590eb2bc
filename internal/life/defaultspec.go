package life

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/template"
)

// DefaultSpec returns the configuration that the command spec writes on this host: with a
// cgroup namespace on cgroup v2 alone, as runc's. With one, v1's hierarchies show no
// program of the image the path that its cgroup has on the host, which some look for there.
func DefaultSpec(rootless bool) *specs.Spec {
	spec := template.Spec()
	layout, err := cgroup.Detect(cgroup.Root)
	if err == nil {
		defer layout.Close()
	}
	if err != nil || layout.Mode != cgroup.V2 {
		spec.Linux.Namespaces = slices.DeleteFunc(spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
			return n.Type == specs.CgroupNamespace
		})
	}
	if rootless {
		template.Rootless(spec)
	}
	return spec
}
