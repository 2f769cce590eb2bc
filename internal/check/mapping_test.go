package check

import (
	"math"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestMappingsEndAtTheLastID: on both sides, so that no range wraps to root.
func TestMappingsEndAtTheLastID(t *testing.T) {
	const last = math.MaxUint32
	for _, test := range []struct {
		m  specs.LinuxIDMapping
		ok bool
	}{
		{specs.LinuxIDMapping{HostID: 100000, Size: 65536}, true},
		{specs.LinuxIDMapping{ContainerID: 5, HostID: last - 10, Size: 10}, true},
		{specs.LinuxIDMapping{ContainerID: last - 10, HostID: 5, Size: 10}, true},
		{specs.LinuxIDMapping{ContainerID: 5, HostID: last - 10, Size: 11}, false},
		{specs.LinuxIDMapping{ContainerID: last - 10, HostID: 5, Size: 11}, false},
		{specs.LinuxIDMapping{ContainerID: 1, HostID: 1, Size: last}, false},
	} {
		if err := Mappings("m", []specs.LinuxIDMapping{test.m}); (err == nil) != test.ok {
			t.Errorf("%+v: %v", test.m, err)
		}
	}
}
