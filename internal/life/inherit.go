package life

import "github.com/opencontainers/runtime-spec/specs-go"

// bounding returns the bounding set of a process, to which each change of its sets adds.
func bounding(p *specs.Process) []string {
	if p.Capabilities == nil {
		return nil
	}
	return p.Capabilities.Bounding
}

// inherit sets in p what it leaves out and runc takes from the container's own
// process: limits, capabilities, noNewPrivileges, labels, scheduler, I/O
// priority, processors, the score for the OOM killer.
func inherit(p, own *specs.Process) {
	if own == nil {
		return
	}
	if len(p.Rlimits) == 0 {
		p.Rlimits = own.Rlimits
	}
	if p.Capabilities == nil {
		p.Capabilities = own.Capabilities
	}
	p.NoNewPrivileges = p.NoNewPrivileges || own.NoNewPrivileges
	if p.ApparmorProfile == "" {
		p.ApparmorProfile = own.ApparmorProfile
	}
	if p.SelinuxLabel == "" {
		p.SelinuxLabel = own.SelinuxLabel
	}
	if p.Scheduler == nil {
		p.Scheduler = own.Scheduler
	}
	if p.IOPriority == nil {
		p.IOPriority = own.IOPriority
	}
	if p.ExecCPUAffinity == nil {
		p.ExecCPUAffinity = own.ExecCPUAffinity
	}
	if p.OOMScoreAdj == nil {
		p.OOMScoreAdj = own.OOMScoreAdj
	}
}
