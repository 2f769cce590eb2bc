package life

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/seat"
	"github.com/hutch-project/hutch/internal/uidmap"
)

// handsOver reports whether the runtime has to hand the standard descriptors of a process in
// a user namespace over to its user: it may do so with files of users who are not mapped
// there, as the caller's pipes, and the process may not. No mappings are those of a user
// namespace that is there already.
func handsOver(p *specs.Process, std [3]process.StdFile, mappings []specs.LinuxIDMapping) bool {
	return p != nil && !p.Terminal && !seat.User() && process.OfOthers(std, func(owner uint32) bool {
		id, ok := uidmap.Outside(mappings, p.User.UID)
		return ok && owner == id
	})
}

// ownStdio hands them over. The user namespace is that of the process pid: where that has
// ended, whatever follows says so.
func (e *Embedder) ownStdio(std [3]process.StdFile, uid uint32, pid int) {
	list, err := uidmap.Of(pid, "uid_map")
	if err != nil {
		return
	}
	if id, ok := uidmap.Outside(list, uid); ok {
		process.HandOver(e.fds(), std, id)
	}
}

func (m *maker) ownStdio() error {
	m.Embed.ownStdio(m.plan.host.Std, m.bundle.spec.Process.User.UID, m.child.Pid)
	return nil
}

// ownStdio goes by the mappings of init: the process has not joined its namespaces yet.
func (e *execution) ownStdio() error {
	e.o.Embed.ownStdio(e.std, e.p.User.UID, e.c.rec.Pid)
	return nil
}
