package rootfs

import (
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestMappedBeneath: binds with a mapping alone, and those alone whose source an earlier mount
// brings.
func TestMappedBeneath(t *testing.T) {
	ids := []specs.LinuxIDMapping{{Size: 1}}
	bind := func(source, destination string, ids []specs.LinuxIDMapping, options ...string) specs.Mount {
		return specs.Mount{Type: "bind", Source: source, Destination: destination, Options: append(options, "bind"), UIDMappings: ids, GIDMappings: ids}
	}
	mounts := []specs.Mount{
		bind("/b/rootfs/data/x", "/before", ids),
		{Type: "tmpfs", Source: "tmpfs", Destination: "/data"},
		bind("/b/rootfs/data/x", "/mapped", ids),
		bind("/b/rootfs/data", "/option", nil, "idmap"),
		bind("/b/rootfs/data/x", "/plain", nil),
		bind("/b/rootfs/database", "/beside", ids),
		bind("/srv/data/x", "/host", ids),
	}
	if got, want := MappedBeneath(mounts, "/b/rootfs"), []int{2, 3}; !slices.Equal(got, want) {
		t.Errorf("got %d, want %d", got, want)
	}
}
