package capability

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/list"
)

// listing returns the program that emit makes, a line an instruction.
func listing(t *testing.T, emit func(b *program.Builder)) []string {
	t.Helper()
	b := program.New()
	emit(b)
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := list.WriteText(&text, list.Lines(p, nil)); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(strings.Split(text.String(), "\n"), func(line string) bool { return line == "" })
}

// sets finds the sets of each capset in a listing.
func sets(lines []string) []string {
	var out []string
	for _, line := range lines {
		if _, rest, ok := strings.Cut(line, "capset("); ok {
			text, _, _ := strings.Cut(rest, " #")
			out = append(out, strings.TrimSpace(text))
		}
	}
	return out
}

// TestHeldIsDropped: what is held to load the filter is given back, so that the last
// sets are those of the configuration, and no call is made where nothing was held.
func TestHeldIsDropped(t *testing.T) {
	const admin = 1 << unix.CAP_SYS_ADMIN
	caps := func(names ...string) *specs.LinuxCapabilities {
		return &specs.LinuxCapabilities{Bounding: names, Effective: names, Permitted: names}
	}
	for _, c := range []struct {
		name string
		caps *specs.LinuxCapabilities
		hold uint64
		want int // calls
	}{
		{"none", nil, admin, 2},
		{"others", caps("CAP_CHOWN", "CAP_KILL"), admin, 2},
		{"permitted alone", &specs.LinuxCapabilities{Permitted: []string{"CAP_SYS_ADMIN"}}, admin, 2},
		{"effective alone", &specs.LinuxCapabilities{Effective: []string{"CAP_SYS_ADMIN"}}, admin, 2},
		{"the held one itself", caps("CAP_SYS_ADMIN"), admin, 1},
		{"nothing held", caps("CAP_CHOWN"), 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := New(c.caps, 40)
			got := sets(listing(t, func(b *program.Builder) { s.Apply(b, c.hold); s.Drop(b, c.hold) }))
			plain := sets(listing(t, func(b *program.Builder) { s.Apply(b, 0) }))
			if len(got) != c.want || len(plain) != 1 || got[len(got)-1] != plain[0] {
				t.Errorf("got %q, want %d calls and the last as %q", got, c.want, plain)
			}
			if c.want == 2 && got[0] == got[1] {
				t.Errorf("nothing was held: %q", got)
			}
		})
	}
}

// TestOthersAreTakenAway: each capability that is not in the bounding set is dropped
// from it, and the ambient set is cleared before the few are raised.
func TestOthersAreTakenAway(t *testing.T) {
	s := New(&specs.LinuxCapabilities{
		Bounding: []string{"CAP_CHOWN", "CAP_KILL"}, Permitted: []string{"CAP_KILL"}, Inheritable: []string{"CAP_KILL"}, Ambient: []string{"CAP_KILL", "CAP_CHOWN"},
	}, 40)
	text := strings.Join(listing(t, s.Bounding), "\n")
	for n, name := range enum.Capabilities.Names() {
		kept := name == "CAP_CHOWN" || name == "CAP_KILL"
		if got := strings.Count(text, "PR_CAPBSET_DROP, "+name+","); got != 1 && !kept || got != 0 && kept {
			t.Errorf("%s, %d, is dropped %d times in\n%s", name, n, got, text)
		}
	}
	var ambient []string
	for _, line := range listing(t, func(b *program.Builder) { s.Apply(b, 0) }) {
		if _, rest, ok := strings.Cut(line, "PR_CAP_AMBIENT, "); ok {
			what, _, _ := strings.Cut(rest, ", 0")
			ambient = append(ambient, what)
		}
	}
	if want := []string{"PR_CAP_AMBIENT_CLEAR_ALL", "PR_CAP_AMBIENT_RAISE, CAP_KILL"}; !slices.Equal(ambient, want) {
		t.Errorf("ambient: got %q, want %q", ambient, want)
	}
}

// TestNotGranted: what a process does not get of what it asks for has a name, in the set
// where it is missing.
func TestNotGranted(t *testing.T) {
	const chown, kill, all = 1 << unix.CAP_CHOWN, 1 << unix.CAP_KILL, ^uint64(0)
	both, one := []string{"CAP_CHOWN", "CAP_KILL"}, []string{"CAP_KILL"}
	for name, c := range map[string]struct {
		asked            specs.LinuxCapabilities
		held             uint64
		missing, ambient []string
	}{
		"all granted":               {specs.LinuxCapabilities{Permitted: both, Inheritable: both, Ambient: both}, all, nil, nil},
		"ambient, not inheritable":  {specs.LinuxCapabilities{Permitted: both, Inheritable: one, Ambient: both}, all, nil, []string{"CAP_CHOWN"}},
		"ambient, not permitted":    {specs.LinuxCapabilities{Permitted: one, Inheritable: both, Ambient: both}, all, nil, []string{"CAP_CHOWN"}},
		"ambient alone":             {specs.LinuxCapabilities{Ambient: both}, all, nil, both},
		"lacking":                   {specs.LinuxCapabilities{Effective: both, Permitted: both}, kill, []string{"CAP_CHOWN"}, nil},
		"lacking, told once":        {specs.LinuxCapabilities{Permitted: both, Inheritable: one, Ambient: both}, kill, []string{"CAP_CHOWN"}, nil},
		"lacking, and not ambient":  {specs.LinuxCapabilities{Permitted: both, Ambient: one}, kill, []string{"CAP_CHOWN"}, one},
		"bounding needs no holding": {specs.LinuxCapabilities{Bounding: both}, chown, nil, nil},
		"unknown":                   {specs.LinuxCapabilities{Ambient: []string{"CAP_NO_SUCH"}}, all, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			missing, ambient := NotGranted(&c.asked, 40, c.held)
			if !slices.Equal(missing, c.missing) || !slices.Equal(ambient, c.ambient) {
				t.Errorf("missing %q, ambient %q; want %q and %q", missing, ambient, c.missing, c.ambient)
			}
		})
	}
}
