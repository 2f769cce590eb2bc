package lsm

import (
	"errors"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/program"
)

// TestLabelOfAModuleThatIsOff: a label that would not be applied is an error, also
// beside one that would be.
func TestLabelOfAModuleThatIsOff(t *testing.T) {
	for _, test := range []struct {
		rule    string
		p       specs.Process
		h       Host
		refused bool
	}{
		{"AppArmor is off", specs.Process{ApparmorProfile: "p"}, Host{SELinux: true}, true},
		{"SELinux is off", specs.Process{SelinuxLabel: "l"}, Host{AppArmor: true}, true},
		{"both are off", specs.Process{ApparmorProfile: "p", SelinuxLabel: "l"}, Host{}, true},
		{"one of two is off", specs.Process{ApparmorProfile: "p", SelinuxLabel: "l"}, Host{AppArmor: true}, true},
		{"both are on", specs.Process{ApparmorProfile: "p", SelinuxLabel: "l"}, Host{AppArmor: true, SELinux: true}, false},
		{"no label", specs.Process{}, Host{}, false},
	} {
		t.Run(test.rule, func(t *testing.T) {
			b := program.New()
			Emit(b, b.RegOf(-1), &test.p, test.h)
			if _, err := b.Program(); errors.Is(err, ErrOff) != test.refused || !test.refused && err != nil {
				t.Errorf("got %v", err)
			}
		})
	}
}
