package lsm

import (
	"github.com/hutch-project/hutch/internal/check"
)

// Check checks process.apparmorProfile and process.selinuxLabel.
func Check(p *check.Process) error {
	p.Add(check.String("process.apparmorProfile", p.ApparmorProfile, 0))
	return check.String("process.selinuxLabel", p.SelinuxLabel, 0)
}
