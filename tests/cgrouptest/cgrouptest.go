// Package cgrouptest makes resources of config.json for the tests of cgroups, their limits
// and their devices.
//
// Only tests import it.
package cgrouptest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Memory returns resources with a limit of memory and one of memory and swap, in bytes;
// 0 leaves one out.
func Memory(limit, swap int64) *specs.LinuxResources {
	m := &specs.LinuxMemory{}
	if limit != 0 {
		m.Limit = &limit
	}
	if swap != 0 {
		m.Swap = &swap
	}
	return &specs.LinuxResources{Memory: m}
}

// CPU returns resources with c alone.
func CPU(c specs.LinuxCPU) *specs.LinuxResources { return &specs.LinuxResources{CPU: &c} }

// Rate returns a limit for a block device, in bytes or operations a second.
func Rate(major, minor int64, n uint64) specs.LinuxThrottleDevice {
	d := specs.LinuxThrottleDevice{Rate: n}
	d.Major, d.Minor = major, minor
	return d
}

// Rule reads a device rule, as "allow c 1:3 rw" or "deny b *:* m"; one without numbers, as
// "deny a rwm", has none.
func Rule(t testing.TB, text string) specs.LinuxDeviceCgroup {
	t.Helper()
	f := strings.Fields(text)
	d := specs.LinuxDeviceCgroup{Allow: f[0] == "allow", Type: f[1], Access: f[len(f)-1]}
	if len(f) == 4 {
		for i, s := range strings.Split(f[2], ":") {
			if s == "*" {
				continue
			}
			var n int64
			if _, err := fmt.Sscan(s, &n); err != nil {
				t.Fatal(text, err)
			}
			*[...]**int64{&d.Major, &d.Minor}[i] = &n
		}
	}
	return d
}
