package life

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/config"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/selfexe"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/proc"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/internal/seat"
)

// byProgram makes init by the program of its plan.
func byProgram(m *maker) []step {
	return []step{
		{"compile", m.compile}, // behind the cgroups, without which a container may have to go
		{"clone", m.clone},
		{"set up", m.serve},
	}
}

func (m *maker) compile() (undo func(), err error) {
	err = m.plan.compile(func(b *program.Builder) (err error) {
		m.link, err = selfexe.Shield(b)
		m.streams = m.Embed.streams(b)
		return err
	})
	if err != nil {
		return nil, err
	}
	m.r.debugUnknownCalls(m.plan.out)
	return nil, nil
}

// debugUnknownCalls names what the profile has to no effect.
func (r *Runtime) debugUnknownCalls(out *compile.Output) {
	if n := out.UnknownCalls; len(n) > 0 {
		r.debug("linux.seccomp: no architecture of the profile has " + strings.Join(n, ", ") + ", ignoring")
	}
}

// clone makes the child, born in its cgroups, and writes it down at once: what the child
// waits for from here on may never come, and a delete ends that by killing it.
func (m *maker) clone() (undo func(), err error) {
	out := m.plan.out
	if m.fifo {
		goFd, resultFd, err := m.dir.OpenFifos()
		if err != nil {
			return nil, err
		}
		defer unix.Close(goFd)
		defer unix.Close(resultFd)
		out.Program.Set(out.Go, int64(goFd))
		out.Program.Set(out.Result, int64(resultFd))
	}
	closeIdmaps, err := m.plan.openIdmaps()
	if err != nil {
		return nil, err
	}
	defer closeIdmaps()
	unlink, err := m.link.Open(out.Program)
	if err != nil {
		return nil, err
	}
	defer unlink()
	entry := &cgroup.Entry{Cgroup: -1}
	if m.plan.unit == nil {
		if entry, err = m.plan.cgroup.Entry(!m.plan.host.Denied.Clone3); err != nil {
			return nil, err
		}
		defer entry.Close()
	}
	for i, fd := range entry.Tasks {
		out.Program.Set(out.Tasks[i], int64(fd))
	}
	m.streams(out.Program)
	start, proc := spawnHidden, m.bundle.spec.Process
	// A user's new process: its files in /proc have to be the user's, who writes the
	// mappings. Nobody is in its namespaces yet to look into it.
	m.hidden = !seat.User() || out.Namespaces.Joins()
	switch {
	case !m.hidden:
		start = spawnChild
	case bornScored(proc):
		start = func(p *program.Program, o *spawn.Options) (*spawn.Child, error) { return m.r.spawnScored(p, o, proc) }
	}
	m.child, err = start(out.Program, &spawn.Options{
		Flags: out.CloneFlags, Cgroup: entry.Cgroup, Forker: m.forker, Trace: m.trace != nil, Fault: testFault,
		WhileForking: m.subset,
	})
	if err != nil {
		return nil, err
	}
	if err := m.guard.watch(m.Embed, m.child, out.Program); err != nil {
		return m.killInit, err
	}
	return m.killInit, m.recordPid()
}

// subset puts into the record what later commands need of config.json. It takes time that
// the clone takes too.
func (m *maker) subset() {
	rec, text := m.plan.record, m.bundle.text
	rec.AfterStart = m.plan.failures()
	rec.Process, rec.Resources = string(config.Excerpt(text, compile.LinuxOfProcess())), string(config.ResourcesExcerpt(text))
}

// recordPid writes down which process init is.
func (m *maker) recordPid() error {
	start, _, err := proc.StartTime(m.child.Pid)
	if err != nil {
		return err
	}
	m.plan.record.Pid, m.plan.record.PidStart = m.child.Pid, start
	recordNamespaces(m.plan.record)
	return m.dir.Save(m.plan.record)
}

// killInit kills init, if there is one, and reaps it, unless it stays in the kernel for
// longer than a delete would wait too.
func (m *maker) killInit() {
	if m.child == nil || m.child.Pidfd < 0 {
		return
	}
	_ = unix.PidfdSendSignal(m.child.Pidfd, unix.SIGKILL, nil, 0)
	m.r.warnIf(m.plan.cgroup.Manager().Thaw()) // on v1 what is frozen does not end
	if !waitKilled(m.child.Pidfd, m.plan.cgroup.Manager(), m.plan.record.Cgroup.Own) {
		m.r.warn(fmt.Sprintf("init, process %d, does not end after SIGKILL: it is in the kernel, ignoring", m.child.Pid))
		return
	}
	m.child.Kill()
}

// serve answers init at its barriers until it is ready for start.
func (m *maker) serve() (undo func(), err error) {
	s := m.server(m.handlers()...)
	s.trace = m.trace
	return m.undoScope, s.serve()
}

// server serves init.
func (m *maker) server(handlers ...handler) *server {
	s := newServer("init", m.child, m.c.cg, handlers...)
	s.filtered = m.bundle.linux().Seccomp != nil
	return s
}

// handlers returns those of the messages that init sends until it is ready for start. Their
// order means nothing: a tag finds its handler.
func (m *maker) handlers() []handler {
	ready := func(spawn.Event) (answer, error) { return finish, m.plan.work.do(compile.Ready, m) }
	handlers := append([]handler{
		{tag: compile.Adopt, doing: "prove that it is the runtime's child, record and follow it", serve: m.reparent},
		{tag: compile.Born, doing: "record the serial number of the session keyring", serve: m.cloned},
		m.barrier(compile.TimeOffsets, ""),
		{tag: rootfs.TargetTag, below: rootfs.CopyUpTag, doing: "make the mount point", serve: m.target},
		{tag: rootfs.CopyUpTag, below: rootfs.TagsEnd, doing: "steer the copy", serve: m.target},
		m.barrier(compile.Hooks, "hooks"),
		{tag: compile.Loading, doing: "hand the seccomp listener to the agent", serve: m.listener},
		{tag: compile.Ready, doing: "commit the state, and let init go on", serve: ready},
	}, m.keyringHandlers()...)
	if m.bundle.spec.Process != nil {
		handlers = append(handlers, homeHandler(m.child, m.bundle.spec.Process),
			m.console.handler(m.ConsoleSocket, func() []int { return []int{m.child.Pidfd} }, nil))
	}
	return handlers
}

// reparent follows the process that the program has cloned into the container's pid
// namespace, and records it.
func (m *maker) reparent(e spawn.Event) (answer, error) {
	if err := m.child.Adopt(e); err != nil {
		return silence, err
	}
	if err := m.guard.watch(m.Embed, m.child, nil); err != nil {
		return silence, err
	}
	return release, m.recordPid()
}

// cloned does for init what only the runtime may do. Init waits only where there is some.
func (m *maker) cloned(e spawn.Event) (answer, error) {
	m.trace.Phase("cloned")
	if err := m.recordKeyring(e.Value); err != nil {
		return silence, err
	}
	if len(m.plan.work.at(compile.Born)) == 0 {
		return silence, nil
	}
	return release, m.plan.work.do(compile.Born, m)
}

// target makes mount points, and steers the filling of a tmpfs.
func (m *maker) target(e spawn.Event) (answer, error) {
	more, err := m.plan.out.Root.Handle(m.child, e)
	if err != nil && !more { // the answer knows the place alone, and not which mount wants it
		program := m.plan.out.Program
		err = fmt.Errorf("%s: %w", program.Note(&program.Child[e.PC]).Element, err)
	}
	if more {
		return silence, err
	}
	return release, err
}

func (m *maker) listener(e spawn.Event) (answer, error) {
	if err := sendListener(m.child, e, m.bundle.spec.Linux.Seccomp, m.plan.record, Creating, m.child.Pidfd); err != nil {
		return finish, err
	}
	return finish, m.plan.work.do(compile.Ready, m) // which such an init does not tell
}

// spawnHidden makes a child that nothing in the container may look into before
// its execve: not dumpable, it and its descriptors belong to the host's root.
//
// Source: CVE-2016-9962; proc(5), "/proc/PID"; prctl(2).
func spawnHidden(p *program.Program, o *spawn.Options) (*spawn.Child, error) {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("prctl PR_SET_DUMPABLE 0: %w", err)
	}
	return spawnChild(p, o)
}

func spawnChild(p *program.Program, o *spawn.Options) (*spawn.Child, error) {
	o.OldClone = seat.Calls().Clone3
	c, err := spawn.Spawn(p, o)
	if errors.Is(err, unix.EAGAIN) {
		err = fmt.Errorf("%w: as many processes as allowed; raise linux.resources.pids.limit, or the user's RLIMIT_NPROC", err)
	}
	if errors.Is(err, unix.EPERM) && seat.User() {
		err = fmt.Errorf("%w: run as root, or add a user namespace to linux.namespaces, as spec --rootless does", err)
	}
	return c, err
}

// testFault is an instruction that a test makes fail.
var testFault *program.Fault
