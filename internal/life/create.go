package life

import (
	"errors"
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/notify"
	"github.com/hutch-project/hutch/internal/host/state"
	"github.com/hutch-project/hutch/internal/outfile"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/part/terminal"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/internal/seat"
	"github.com/hutch-project/hutch/internal/validate"
)

// Create makes the container o.ID from the bundle and leaves it with its init
// waiting for Start. A failed Create leaves nothing behind.
//
// Source: runtime-spec runtime.md "Create".
func (r *Runtime) Create(opts *CreateOptions) error {
	m, err := r.newMaker(opts, true, byProgram)
	if err != nil {
		return err
	}
	defer m.close()
	if err := m.create(); err != nil {
		return err
	}
	m.guard.end()
	opts.Embed.take(m.child, &m.console.master)
	r.warnIf(m.trace.Write(opts.TraceFile)) // the container is there, and stays
	return nil
}

// catch begins to catch signals for an attached container.
func (m *maker) catch() (undo func(), err error) {
	if !m.fifo && !m.Detach {
		m.signals = terminal.Forward(m.r.Alone)
	}
	return nil, nil
}

// load reads and checks the bundle.
func (m *maker) load() (undo func(), err error) {
	if err := m.read(m.r); err != nil {
		return nil, err
	}
	if mounts := m.bundle.spec.Mounts; m.restored && rootfs.OnRoot(mounts) >= 0 {
		return nil, errOnRoot(mounts[rootfs.OnRoot(mounts)].Source)
	}
	if err := changesHost(m.bundle.spec); err != nil {
		return nil, err
	}
	if err := m.checkTerminal(); err != nil {
		return nil, err
	}
	if flags := unsharedEarly(m.bundle.spec); flags != 0 && !m.restored {
		m.forker = spawn.NewForker(flags)
	}
	return nil, nil
}

// unsharedEarly returns the new namespaces that can be made before the child.
func unsharedEarly(spec *specs.Spec) uint64 {
	if seat.User() || spec.Linux == nil {
		return 0
	}
	for _, n := range spec.Linux.Namespaces {
		switch {
		case n.Path != "":
			return 0 // what is joined may decide who owns what is made
		case n.Type == specs.UserNamespace:
			return 0
		}
	}
	if !has(spec, specs.NetworkNamespace) {
		return 0
	}
	flags := uint64(unix.CLONE_NEWNET)
	if has(spec, specs.IPCNamespace) {
		flags |= unix.CLONE_NEWIPC
	}
	return flags
}

// decide asks the host, and makes the plan.
func (m *maker) decide() (undo func(), err error) {
	if err := m.planUnit(m.r); err != nil { // says which service manager is asked
		return nil, err
	}
	if m.host, err = m.r.askHost(&m.request); err != nil {
		return nil, err
	}
	m.plan, err = m.r.plan(&m.request, m.host)
	return nil, err
}

// record writes down what is about to exist, before any of it does.
func (m *maker) record() (undo func(), err error) {
	root, err := state.Open(m.r.Root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	m.dir, err = root.Create(m.ID) // and locks it
	if err != nil {
		return nil, err
	}
	// The record goes first: without it the directory may be another create's.
	err = m.dir.Save(m.plan.record)
	if errors.Is(err, state.ErrExists) {
		return nil, err
	}
	m.c = &container{r: m.r, dir: m.dir, rec: m.plan.record, cg: m.plan.cgroup.Manager()}
	undo = m.unrecord
	if err != nil {
		return undo, err
	}
	if m.NotifySocket != "" {
		passable := !m.host.Privileged // it is opened in the container's user namespace
		if _, err := notify.Prepare(m.stateDir, passable); err != nil {
			return undo, err
		}
	}
	if m.fifo {
		err = m.dir.CreateFifos()
	}
	return undo, err
}

// unrecord removes the record when all else is taken back, and runs the poststop hooks,
// unless a delete has done so.
func (m *maker) unrecord() {
	if m.c != nil {
		m.r.warnIf(removeRoot(m.c.rec))
	}
	if m.NotifySocket != "" {
		m.r.warnIf(m.r.removeNotify(m.ID))
	}
	removed, err := m.dir.Remove()
	m.r.warnIf(err)
	if !removed || m.c == nil {
		return
	}
	m.dir.Unlock()
	m.c.poststop()
}

// announce hands out the process id, the pidfd, and commits the new status.
func (m *maker) announce() (undo func(), err error) {
	if err := m.dir.SetCreated(); err != nil {
		return nil, err
	}
	if m.fifo {
		if err := m.server().release(); err != nil { // on to the fifo
			return nil, err
		}
	}
	if path, name := m.pidfdReceiver(); path != "" {
		if err := terminal.SendFd(path, m.child.Pidfd, "standard", m.child.Pidfd); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if m.PidFile != "" { // last: engines take it for success
		if err := writePidFile(m.PidFile, m.child.Pid); err != nil {
			return nil, fmt.Errorf("--pid-file: %w", err)
		}
		undo = func() { m.r.warnIf(outfile.Remove(m.PidFile)) }
	}
	if m.trace != nil {
		m.trace.AddChild(m.child.Stamps(), m.child.Pid, 0)
	}
	return undo, nil
}

// explainMemory names the limit that is too low for what the kernel wanted.
func explainMemory(err error) error {
	if errors.Is(err, unix.ENOMEM) {
		return fmt.Errorf("%w: linux.resources.memory.limit is too low to start a process, or the host is out of memory; raise it", err)
	}
	return err
}

// explainInFlight names the limit that another process of the user has used up.
//
// Source: unix(7), ETOOMANYREFS.
func explainInFlight(err error) error {
	if errors.Is(err, unix.ETOOMANYREFS) {
		return fmt.Errorf("%w: a process of the same user on the host has sent itself as many descriptors as RLIMIT_NOFILE allows, and takes none; "+
			"raise the limit, or give each container ids of its own by linux.uidMappings", err)
	}
	return err
}

// named puts the operation and the id, if it is one, before an error.
func named(operation, id string, err error) error {
	if err == nil {
		return nil
	}
	if validate.ID(id) != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	return fmt.Errorf("%s %s: %w", operation, id, err)
}
