package life

import "github.com/opencontainers/runtime-spec/specs-go"

// bounding returns the bounding set of a process, to which each change of its sets adds.
func bounding(p *specs.Process) []string {
	if p.Capabilities == nil {
		return nil
	}
	return p.Capabilities.Bounding
}

// inherit sets in proc what it leaves out and runc takes from own, the container's own process:
// what confines a process, and not what it runs, for whom, and how it is seen.
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
