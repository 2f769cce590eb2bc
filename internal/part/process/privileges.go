package process

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// NoNewPrivileges emits process.noNewPrivileges.
//
// Source: kernel userspace-api/no_new_privs.rst.
func NoNewPrivileges(b *program.Builder, p *specs.Process) {
	if !p.NoNewPrivileges {
		return
	}
	b = b.Element(program.T("process.noNewPrivileges")).Doing(program.T("set it"))
	call.PrctlNoNewPrivs(b)
}
