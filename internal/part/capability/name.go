package capability

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/enum"
)

// Parse returns the set of the names, a bit for each number, and the names that are
// unknown. A name is written as CAP_CHOWN.
func Parse(list []string) (set uint64, unknown []string) {
	for _, n := range list {
		if c := enum.Capabilities.Find(n); c != nil {
			set |= 1 << c.Number
		} else {
			unknown = append(unknown, n)
		}
	}
	return set, unknown
}

// Unknown returns the names of c's five sets that are no capabilities, each once, in
// order.
//
// Source: runtime-spec config.md "Linux Process": "Any value which cannot be
// mapped to a relevant kernel interface, or cannot be granted otherwise MUST be
// logged as a warning by the runtime".
func Unknown(c *specs.LinuxCapabilities) []string {
	if c == nil {
		return nil
	}
	var out []string
	for _, list := range [...][]string{c.Bounding, c.Effective, c.Inheritable, c.Permitted, c.Ambient} {
		_, u := Parse(list)
		out = append(out, u...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
