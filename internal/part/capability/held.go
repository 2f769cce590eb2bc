package capability

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/seat"
)

// Held returns the permitted set of the runtime.
func Held() (uint64, error) {
	c := seat.Capabilities()
	if c.Err != nil {
		return 0, fmt.Errorf("capget: %w", c.Err)
	}
	return c.Permitted, nil
}

// Within returns s without what a caller with the permitted set held cannot give,
// for a container in the caller's own user namespace; in a new one everything can
// be given. The bounding set is not touched.
//
// Source: runtime-spec config.md "Linux Process": "Runtimes SHOULD NOT fail if
// the container configuration requests capabilities that cannot be granted".
func (s *Sets) Within(held uint64) *Sets {
	s.effective &= held
	s.inheritable &= held
	s.permitted &= held
	s.ambient &= held
	return s
}

// NotGranted returns the known names in c that Within(held) leaves out of some set, and those
// of the ambient set that New leaves out because they are not permitted and inheritable too:
// each once in the order of their numbers, to warn of.
//
// Source: runtime-spec config.md "Linux Process": what "cannot be granted
// otherwise MUST be logged as a warning".
func NotGranted(caps *specs.LinuxCapabilities, last int, held uint64) (missing, ambient []string) {
	if caps == nil {
		return nil, nil
	}
	s := New(caps, last)
	asked, _ := Parse(caps.Ambient)
	left := asked &^ s.ambient
	var lacking uint64
	s.Within(held)
	for _, set := range [...]struct {
		asked []string
		got   uint64
	}{{caps.Effective, s.effective}, {caps.Inheritable, s.inheritable}, {caps.Permitted, s.permitted}} {
		asked, _ := Parse(set.asked)
		lacking |= asked &^ set.got
	}
	return names(lacking), names(left &^ lacking)
}

func names(set uint64) (out []string) {
	for _, row := range enum.Capabilities {
		if set&(1<<row.Number) != 0 {
			out = append(out, row.Name)
		}
	}
	return out
}
