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
func inherit(proc, own *specs.Process) {
	if own == nil {
		return
	}
	if len(proc.Rlimits) == 0 {
		proc.Rlimits = own.Rlimits
	}
	if proc.Capabilities == nil {
		proc.Capabilities = own.Capabilities
	}
	proc.NoNewPrivileges = proc.NoNewPrivileges || own.NoNewPrivileges
	if proc.ApparmorProfile == "" {
		proc.ApparmorProfile = own.ApparmorProfile
	}
	if proc.SelinuxLabel == "" {
		proc.SelinuxLabel = own.SelinuxLabel
	}
	if proc.Scheduler == nil {
		proc.Scheduler = own.Scheduler
	}
	if proc.IOPriority == nil {
		proc.IOPriority = own.IOPriority
	}
	if proc.ExecCPUAffinity == nil {
		proc.ExecCPUAffinity = own.ExecCPUAffinity
	}
	if proc.OOMScoreAdj == nil {
		proc.OOMScoreAdj = own.OOMScoreAdj
	}
}
