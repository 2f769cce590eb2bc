package lsm

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/check"
)

// Check checks process.apparmorProfile and process.selinuxLabel.
func Check(p *specs.Process) error {
	if err := check.String("process.apparmorProfile", p.ApparmorProfile, 0); err != nil {
		return err
	}
	return check.String("process.selinuxLabel", p.SelinuxLabel, 0)
}
