package process

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/program"
)

func TestPersonality(t *testing.T) {
	for domain, want := range map[specs.LinuxPersonalityDomain]string{specs.PerLinux: "0", specs.PerLinux32: "8"} {
		out, err := printed(t, "personality", func(b *program.Builder) {
			Personality(b, &specs.LinuxPersonality{Domain: domain})
		})
		if out != want || err != nil {
			t.Errorf("%s: %q, %v; want %s", domain, out, err, want)
		}
	}
}

func TestUnknownDomainIsAFault(t *testing.T) {
	b := program.New()
	Personality(b, &specs.LinuxPersonality{Domain: "BSD"})
	want := `linux.personality: set domain BSD: "BSD" is not known; use ` + enum.Domains.Or()
	if _, err := b.Program(); err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}
