package process

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// Personality emits linux.personality.
//
// Source: personality(2).
func Personality(b *program.Builder, p *specs.LinuxPersonality) {
	if p == nil {
		return
	}
	b = b.Element(program.T("linux.personality")).Doing(program.T("set domain %s", string(p.Domain)))
	domain := enum.Domains.Find(string(p.Domain))
	if domain == nil {
		b.Fault(fmt.Errorf("%q is not known; use %s", p.Domain, enum.Domains.Or()))
		return
	}
	call.Personality(b, domain.Number)
}

// CheckPersonality checks linux.personality: "Currently no flag values are
// supported."
//
// Source: runtime-spec config-linux.md "Personality".
func CheckPersonality(c *check.Config) error {
	p := c.Linux.Personality
	if p == nil {
		return nil
	}
	if enum.Domains.Find(string(p.Domain)) == nil {
		return check.Unknown("linux.personality.domain", string(p.Domain), enum.Domains.Or(), enum.Domains.Names()...)
	}
	if len(p.Flags) > 0 {
		return fault.New("linux.personality.flags", "the specification has no flags", "remove them")
	}
	return nil
}
