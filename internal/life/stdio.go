package life

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/host/idmap"
	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/seat"
)

// handsOver reports whether the runtime has to hand the standard descriptors of a process in
// a user namespace over to its user: it may do so with files of users who are not mapped
// there, as the caller's pipes, and the process may not. No mappings are those of a user
// namespace that is there already.
func handsOver(p *specs.Process, std [3]process.StdFile, mappings []specs.LinuxIDMapping) bool {
	return p != nil && !p.Terminal && !seat.User() && process.OfOthers(std, func(owner uint32) bool {
		return idmap.Has(mappings, p.User.UID) && owner == rootfs.HostID(mappings, p.User.UID)
	})
}

// ownStdio hands them over. The user namespace is that of the process pid: where that has
// ended, whatever follows says so.
func (e *Embedder) ownStdio(std [3]process.StdFile, uid uint32, pid int) {
	if list, err := mappingsOf(pid, "uid_map"); err == nil && idmap.Has(list, uid) {
		process.HandOver(e.fds(), std, rootfs.HostID(list, uid))
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
