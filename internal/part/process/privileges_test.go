package process

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/program"
)

func TestNoNewPrivileges(t *testing.T) {
	for _, on := range []bool{false, true} {
		got := status(t, 0, func(b *program.Builder) { NoNewPrivileges(b, &specs.Process{NoNewPrivileges: on}) })["NoNewPrivs"]
		if got != map[bool]string{false: "0", true: "1"}[on] {
			t.Errorf("noNewPrivileges %v: %s", on, got)
		}
	}
}
