package life

import (
	"errors"
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/hook"
	"github.com/hutch-project/hutch/internal/host/idmap"
	"github.com/hutch-project/hutch/internal/host/netdev"
	"github.com/hutch-project/hutch/internal/part/limit"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/internal/seat"
)

// work is one thing that the runtime does for a child, which waits for it at a barrier. The
// child waits at its birth only where there is some for that: nothing else decides it. T
// is what does it.
type work[T any] struct {
	barrier uint32 // the tag of its message
	element string // of config.json
	doing   string
	do      func(T) error
}

// workList is the work for one child, in the order in which it is done.
type workList[T any] []work[T]

// add appends work that is needed.
func (l *workList[T]) add(needed bool, barrier uint32, element, doing string, do func(T) error) {
	if needed {
		*l = append(*l, work[T]{barrier, element, doing, do})
	}
}

// at returns the work at one barrier; its neighbours in the list are of one barrier.
func (l workList[T]) at(barrier uint32) workList[T] {
	first := 0
	for first < len(l) && l[first].barrier != barrier {
		first++
	}
	end := first
	for end < len(l) && l[end].barrier == barrier {
		end++
	}
	return l[first:end]
}

// do does the work at one barrier.
func (l workList[T]) do(barrier uint32, by T) error {
	for _, w := range l.at(barrier) {
		if err := w.do(by); err != nil {
			return err
		}
	}
	return nil
}

// parentWork lists what there is to do for init. Whoever adds some states here, in one
// line, when it is needed and what does it.
func (p *Plan) parentWork() (list workList[*maker]) {
	spec, linuxPart := p.bundle.spec, p.bundle.linux()
	user, newUser := has(spec, specs.UserNamespace), makes(spec, specs.UserNamespace)
	scored := spec.Process != nil && spec.Process.OOMScoreAdj != nil
	// First, so that the group holds for all that init does from here on.
	list.add(p.rdt != nil, compile.Born, "linux.intelRdt",
		"move init into the resource control group", (*maker).joinRdt)
	// Before the mappings, by which others get rights over init: it is in its cgroups then.
	list.add(p.unit != nil, compile.Born, "linux.cgroupsPath",
		"have systemd make the scope with init in it", (*maker).startScope)
	// Behind the scope, in whose cgroups they are written.
	list.add(p.settings.HasDeferred(), compile.Born, "linux.resources",
		"set the limits that init's clone would have run into", (*maker).setDeferred)
	// Init becomes root of its user namespace by them as soon as it goes on.
	list.add(newUser, compile.Born, "linux.uidMappings",
		"write the id mappings", (*maker).writeMappings)
	// These take capabilities in the initial user namespace, which init has left.
	list.add(user && spec.Process != nil, compile.Born, "process.rlimits",
		"set the limits", (*maker).setLimits)
	list.add(user && handsOver(spec.Process, p.host.Std, linuxPart.UIDMappings), compile.Born, "process.user.uid",
		"hand the standard descriptors over to the user", (*maker).ownStdio)
	list.add(scored && (user || seat.Nested()), compile.Born, "process.oomScoreAdj",
		"set the score for the OOM killer", (*maker).setScore)
	// Last, since the kernel alone brings a device back that has been moved.
	list.add(len(linuxPart.NetDevices) > 0, compile.Born, "linux.netDevices",
		"move the network devices into init's namespace", (*maker).moveDevices)
	// Before anything is in the time namespace, whose offsets cannot be changed then.
	list.add(len(linuxPart.TimeOffsets) > 0, compile.TimeOffsets, "linux.timeOffsets",
		"write the offsets of the time namespace", (*maker).writeOffsets)
	if h := spec.Hooks; h != nil { // in the order that the specification has
		for _, kind := range [...]struct {
			name  string
			hooks []specs.Hook
			where string
		}{
			//nolint:staticcheck // deprecated, and still used
			{"prestart", h.Prestart, "in the runtime's namespaces"},
			{"createRuntime", h.CreateRuntime, "in the runtime's namespaces"},
			{"createContainer", h.CreateContainer, "in the container's namespaces"},
		} {
			list.add(len(kind.hooks) > 0, compile.Hooks, "hooks."+kind.name,
				"run them "+kind.where, func(m *maker) error { return m.runHooks(kind.name, kind.hooks) })
		}
	}
	// Last: hooks find init in the cgroup whose limits it has, and the cgroup namespace is made.
	list.add(p.delegated != "", compile.Ready, "annotations["+cgroup.DelegateAnnotation+"]",
		"move init to the cgroup that is the container's to manage", (*maker).delegate)
	return list
}

// barrier answers at a barrier where init waits for nothing but the work there.
func (m *maker) barrier(tag uint32, phase string) handler {
	return handler{tag: tag, serve: func(spawn.Event) (answer, error) {
		if phase != "" {
			m.trace.Phase(phase)
		}
		return release, m.plan.work.do(tag, m)
	}}
}

func (m *maker) joinRdt() error { return m.plan.rdt.Join(m.child.Pid) }

func (m *maker) setDeferred() error { return m.plan.settings.ApplyDeferred(m.plan.cgroup) }

func (m *maker) writeMappings() error {
	l := m.bundle.spec.Linux
	if err := idmap.WriteMaps(m.child.Pid, l.UIDMappings, l.GIDMappings, seat.User()); err != nil {
		return fmt.Errorf("linux.uidMappings: %w", err)
	}
	return nil
}

func (m *maker) setLimits() error {
	return limit.ApplyRlimits(m.child.Pid, m.bundle.spec.Process)
}

func (m *maker) setScore() error {
	if m.hidden && bornScored(m.bundle.spec.Process) {
		return nil
	}
	return m.r.setScore(m.child.Pid, m.bundle.spec.Process)
}

func (m *maker) writeOffsets() error {
	return writeTimeOffsets(m.child.Pid, m.bundle.spec.Linux.TimeOffsets)
}

// setScore sets process.oomScoreAdj. The kernel lets only root of the host lower it: a
// process of others keeps what it has.
func (r *Runtime) setScore(pid int, p *specs.Process) error {
	return r.scoreRefused(limit.ApplyOOMScoreAdj(pid, p))
}

// bornScored reports whether a child that is not dumpable has process.oomScoreAdj from its
// birth: a user may not write it from outside.
func bornScored(p *specs.Process) bool {
	return p != nil && p.OOMScoreAdj != nil && seat.User()
}

// spawnScored is spawnHidden for a child of which bornScored is true.
func (r *Runtime) spawnScored(prog *program.Program, o *spawn.Options, p *specs.Process) (*spawn.Child, error) {
	takeBack, err := limit.InheritOOMScoreAdj(p)
	if err == nil {
		defer takeBack()
	} else if err = r.scoreRefused(err); err != nil {
		return nil, err
	}
	return spawnHidden(prog, o)
}

// scoreRefused returns err, the kernel's refusal of process.oomScoreAdj, unless it is for a
// warning.
func (r *Runtime) scoreRefused(err error) error {
	if (errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)) && !seat.HostRoot() {
		r.warn(err.Error() + ": only root of the host may lower it, ignoring")
		return nil
	}
	return err
}

// moveDevices moves linux.netDevices into the container's network namespace.
func (m *maker) moveDevices() error {
	ns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/net", m.child.Pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("linux.netDevices: open the network namespace of init: %w", err)
	}
	defer unix.Close(ns)
	return netdev.Move(m.bundle.spec.Linux.NetDevices, ns)
}

// namespaceFlags returns the namespaces that init has other than the runtime.
func (m *maker) namespaceFlags() uint64 {
	if m.plan.out != nil {
		return m.plan.out.Namespaces.Flags()
	}
	return m.c.init(m.child.Pidfd).Flags // a restored one has no program
}

// runHooks runs hooks that see the mount namespace before the pivot: createContainer hooks
// in the container's namespaces, the others in the runtime's.
//
// Source: runtime-spec config.md "POSIX-platform Hooks".
func (m *maker) runHooks(name string, hooks []specs.Hook) error {
	ignored := m.host.Ignored
	o := hook.Options{Dir: m.bundle.dir, Env: m.r.HookEnv, Init: &m.child.Pidfd, Ignored: ignored, Output: m.c.hookOutput()}
	if name == "createContainer" {
		o.Start = (&inNamespaces{
			init: namespace.Init{
				Pid: m.child.Pid, Pidfd: m.child.Pidfd, Flags: m.namespaceFlags(),
				OwnRoot: true, InitCwd: true, KeepGroups: keepsGroups(m.bundle.spec.Annotations),
				CallersRoot: joins(m.bundle.spec, specs.MountNamespace),
			},
			ignored: ignored, env: m.r.HookEnv,
		}).start
	}
	return hook.Run(hooks, name, m.c.hookState(Creating), o)
}
