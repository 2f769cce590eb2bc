package capability

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/parttest"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/tests/testneed"
)

// applied returns the lines Cap* of a process that came with all capabilities, two of
// them in its ambient set, and has taken on those of c, with hold held.
func applied(t *testing.T, c *specs.LinuxCapabilities, hold uint64) map[string]string {
	t.Helper()
	testneed.Root(t, "to change capabilities")
	b := program.New()
	s := New(c, Last())
	came := &Sets{last: Last()}
	came.permitted = 1<<unix.CAP_CHOWN | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_SETPCAP | 1<<unix.CAP_SYS_ADMIN
	came.effective, came.inheritable = came.permitted, came.permitted
	b = b.Element(program.T("test"))
	came.set(b, 0)
	call.PrctlAmbientRaise(b, unix.CAP_CHOWN)
	call.PrctlAmbientRaise(b, unix.CAP_NET_RAW)
	s.Bounding(b)
	s.Apply(b, hold)
	b.Barrier(1, 0)
	child := parttest.Spawn(t, b, 0)
	if _, err := child.Expect(1); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", child.Pid))
	if err != nil {
		t.Fatal(err)
	}
	sets := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":\t"); ok && strings.HasPrefix(name, "Cap") {
			sets[name] = value
		}
	}
	return sets
}

// TestSetsAreTheConfigurations: whatever the caller has.
func TestSetsAreTheConfigurations(t *testing.T) {
	chown, raw := []string{"CAP_CHOWN"}, []string{"CAP_NET_RAW"}
	both := []string{"CAP_CHOWN", "CAP_NET_RAW"}
	mask := func(caps ...int) string {
		set := uint64(0)
		for _, n := range caps {
			set |= 1 << n
		}
		return fmt.Sprintf("%016x", set)
	}
	const c, r, admin = unix.CAP_CHOWN, unix.CAP_NET_RAW, unix.CAP_SYS_ADMIN
	for _, test := range []struct {
		rule                    string
		caps                    *specs.LinuxCapabilities
		hold                    uint64
		bnd, eff, prm, inh, amb string
	}{
		{"none at all", nil, 0, mask(), mask(), mask(), mask(), mask()},
		{"each set is its own", &specs.LinuxCapabilities{Bounding: both, Permitted: both, Effective: chown, Inheritable: raw}, 0, mask(c, r), mask(c), mask(c, r), mask(r), mask()},
		{"the caller's ambient set goes", &specs.LinuxCapabilities{Bounding: both, Permitted: both, Effective: both, Inheritable: both}, 0, mask(c, r), mask(c, r), mask(c, r), mask(c, r), mask()},
		{"the ambient set is the configuration's", &specs.LinuxCapabilities{Bounding: both, Permitted: both, Effective: both, Inheritable: both, Ambient: raw}, 0, mask(c, r), mask(c, r), mask(c, r), mask(c, r), mask(r)},
		{"what is not inheritable is not ambient", &specs.LinuxCapabilities{Bounding: both, Permitted: both, Effective: both, Inheritable: chown, Ambient: both}, 0, mask(c, r), mask(c, r), mask(c, r), mask(c), mask(c)},
		{"what is held is neither inheritable nor bounding", &specs.LinuxCapabilities{Bounding: chown, Permitted: chown, Effective: chown}, 1 << admin, mask(c), mask(c, admin), mask(c, admin), mask(), mask()},
	} {
		t.Run(test.rule, func(t *testing.T) {
			got := applied(t, test.caps, test.hold)
			for name, want := range map[string]string{"CapBnd": test.bnd, "CapEff": test.eff, "CapPrm": test.prm, "CapInh": test.inh, "CapAmb": test.amb} {
				if got[name] != want {
					t.Errorf("%s: %s, want %s", name, got[name], want)
				}
			}
		})
	}
}
