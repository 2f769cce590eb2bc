// Package compile turns a configuration and the facts of the host into the
// program that the container's init runs. It touches nothing: the same input
// gives the same program, which tests compare with golden listings and which
// hutch plan prints.
//
// Source: runtime-spec config.md, config-linux.md, runtime.md "Lifecycle".
package compile

import (
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/notify"
	"github.com/hutch-project/hutch/internal/mountinfo"
	"github.com/hutch-project/hutch/internal/part/keyring"
	"github.com/hutch-project/hutch/internal/part/limit"
	"github.com/hutch-project/hutch/internal/part/lsm"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/part/sched"
	"github.com/hutch-project/hutch/internal/part/seccomp"
	"github.com/hutch-project/hutch/internal/part/sysctl"
	"github.com/hutch-project/hutch/internal/part/terminal"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/seat"
	"github.com/hutch-project/hutch/internal/uidmap"
)

// Input is all that a program depends on.
type Input struct {
	Spec   *specs.Spec
	Rootfs string // absolute path on the host
	Bundle string // the bundle's directory, absolute

	Modes      map[int]uint32 // see rootfs.PointModes; nil when nothing is known
	Links      map[int]string // see rootfs.Links; nil for none
	NoPivot    bool
	HostMounts []mountinfo.Mount // with NoPivot
	Keyring    string            // name of the session keyring to make; empty keeps the caller's
	Preserved  []int             // descriptors of the caller that the process gets; see process.Preserved
	ListenFds  int
	Annotated
	HookFiles HookFiles
	NotifyDir string // directory with notify.sock to bind at /run/notify, or empty
	Fifo      bool   // init waits on the fifo, after the barrier Ready (create); else at that alone (run)

	// Tasks is the number of files of cgroup v1 hierarchies, and of resctrl, by which the
	// child enters the container's cgroups.
	Tasks int

	// Unattended says that the runtime has nothing to do for init when it is
	// born, so that init need not wait.
	Unattended bool

	// Shield emits what keeps the runtime's executable out of the container's
	// reach, before all else in the child; nil emits nothing.
	Shield func(*program.Builder) error

	Host Host
}

// Annotated is what annotations say of the container's processes, of init and of those of exec.
type Annotated struct {
	RawFilter  string // see seccomp.RawAnnotation; empty for none
	KeepGroups bool   // the process keeps the caller's groups, in place of process.user.additionalGids
}

// Host is what is asked of the running system.
type Host struct {
	Privileged  bool           // the caller may clone the mounts of its mount namespace
	Nested      bool           // the caller is root, and of a user namespace that is not the initial one
	NoNodes     bool           // the caller may not make device nodes
	NoNull      bool           // there is no /dev/null
	User        bool           // the caller is not root, and has no rights over processes that are closed
	Cgroup      *rootfs.Cgroup // for mounts of type cgroup, nil when there is none
	Ignored     []unix.Signal  // signals that the caller ignores
	LastCap     int            // highest capability of the kernel
	HeldCaps    uint64         // the caller's permitted set, a bit for each number
	Std         [3]process.StdFile
	ProcOfPidNS bool // a procfs can be mounted for another pid namespace than the caller's (Linux 6.18)
	Chrooted    bool // the caller's root directory is not the top of its mount namespace
	FewFiles    bool // the caller may have few descriptors open at once
	ManyFiles   bool // the caller may have more descriptors open than the process may
	LSM         lsm.Host
	Denied      seat.Denied // system calls that the caller may not make
}

// procFromOutside reports whether a procfs can be mounted for a pid namespace that the process
// is not in. Before Linux 6.18 it has to be, and for mount(2) yet, which takes no descriptor.
func (h *Host) procFromOutside() bool { return h.ProcOfPidNS && !h.Denied.Fsopen }

// Output is the program and what the parent needs to run it.
type Output struct {
	Program    *program.Program
	CloneFlags uint64
	Namespaces *namespace.Set
	Root       *rootfs.Root

	Go     program.Reg   // to be set to exec.fifo's descriptor, with Fifo
	Result program.Reg   // to be set to result.fifo's descriptor, with Fifo
	Tasks  []program.Reg // to be set to the descriptors of Input.Tasks
	// UnknownCalls are the names in linux.seccomp that no architecture of it has.
	UnknownCalls []string

	Start int // index of the first instruction after the message Ready
}

// Compile returns the program of a container's init, linked, with what the runtime has to do
// for it. Its errors name the element of config.json.
func Compile(in *Input) (*Output, error) {
	ns, err := namespace.New(linux(in.Spec).Namespaces)
	if err != nil {
		return nil, err
	}
	ns.KeepGroups = in.KeepGroups
	b := NewProgram(in.Host.Denied)
	f, err := filter(linux(in.Spec).Seccomp, in.RawFilter)
	if err != nil {
		return nil, err
	}
	comp := &compiler{Input: in, b: b, ns: ns, filter: f, out: &Output{Namespaces: ns, CloneFlags: ns.CloneFlags()}}
	if f != nil {
		comp.out.UnknownCalls = f.Unknown
	}
	if in.Shield != nil { // before the first step that could let others reach the child
		if err := in.Shield(b); err != nil {
			return nil, err
		}
	}
	comp.parent()     // with the caller's privileges, in its mount namespace
	comp.namespaces() // before the mounts, which belong to the mount namespace and its owner
	comp.rootfs()     // as root of the namespaces: the user may mount nothing
	comp.process()    // takes the privileges away step by step
	comp.start()      // when nothing can fail any more but the program itself
	comp.out.Program, err = b.Program()
	if err != nil {
		return nil, err
	}
	return comp.out, nil
}

// NewProgram returns a Builder for a caller who is denied some system calls.
func NewProgram(denied seat.Denied) *program.Builder {
	b := program.New()
	if denied.Clone3 {
		b.WithoutClone3()
	}
	if denied.CloseRange {
		b.WithoutCloseRange()
	}
	return b
}

type compiler struct {
	*Input
	b     *program.Builder
	ns    *namespace.Set
	root  *rootfs.Root
	out   *Output
	ready *ready

	filter *seccomp.Filter
	proc   program.Reg
	null   program.Reg // see process.OpenNull
	hooks  *startHooks // nil for none
	last   bool        // the process is cloned into a joined pid namespace when all else is set up
}

// linux returns the spec's Linux part, empty where it has none.
func linux(s *specs.Spec) *specs.Linux {
	if s.Linux == nil {
		return &specs.Linux{}
	}
	return s.Linux
}

// parent emits what is opened before the clone.
func (c *compiler) parent() {
	linuxPart := linux(c.Spec)
	if c.Host.procFromOutside() || !mountsProc(c.Spec) {
		c.last = c.ns.CloneLast()
	}
	if c.Fifo {
		c.out.Go, c.out.Result = c.b.RegOf(-1), c.b.RegOf(-1)
	}
	rc := rootfs.Config{
		Spec:            c.Spec,
		Rootfs:          c.Rootfs,
		Bundle:          c.Bundle,
		Modes:           c.Modes,
		Links:           c.Links,
		NoPivot:         c.NoPivot,
		HostMounts:      c.HostMounts,
		Chrooted:        c.Host.Chrooted && c.ns.Made(unix.CLONE_NEWNS),
		SharedMounts:    !c.ns.Own(unix.CLONE_NEWNS),
		Seen:            seen(c.Spec.Hooks) || bindsAll(c.Spec),
		SourcesInParent: c.Host.Privileged,
		Relock:          c.Host.Privileged && c.ns.Own(unix.CLONE_NEWUSER) && c.ns.Made(unix.CLONE_NEWNS),
		FewFiles:        c.Host.FewFiles,
		SourcesInChild:  c.Host.Privileged && !c.ns.Own(unix.CLONE_NEWUSER) && c.ns.Made(unix.CLONE_NEWNS) && (c.last || c.ns.Made(unix.CLONE_NEWPID) || !c.ns.Own(unix.CLONE_NEWPID)),
		Userns:          c.ns.Own(unix.CLONE_NEWUSER) || c.Host.Nested,
		BindDevices:     c.ns.Own(unix.CLONE_NEWUSER) || c.Host.NoNodes,
		ParentNodes:     c.Host.Privileged && !c.Host.NoNodes && !c.Host.Denied.Fsopen,
		OldMounts:       c.Host.Denied.Fsopen && c.ns.Made(unix.CLONE_NEWNS),
		NoNull:          c.Host.NoNull,
		NewNet:          c.ns.Own(unix.CLONE_NEWNET),
		NewCgroupNS:     c.ns.Own(unix.CLONE_NEWCGROUP),
		Cgroup:          c.Host.Cgroup,
		NotifyDir:       c.NotifyDir,
		NotifyTarget:    notify.ContainerDir,
		RootUID:         int(uidmap.OutsideOr(linuxPart.UIDMappings, 0, 0)),
		RootGID:         int(uidmap.OutsideOr(linuxPart.GIDMappings, 0, 0)),
		Terminal:        c.Spec.Process != nil && c.Spec.Process.Terminal,
	}
	c.ns.Open(c.b) // before the child's setns, and before the root, which takes the pid namespace
	if c.last {
		rc.PidNS = c.ns.PidFd()
	}
	c.root = rootfs.New(rc)
	c.out.Root = c.root
	c.root.Open(c.b) // here the host's tree is still that of its users
	if !rc.Terminal {
		// While /dev is the host's.
		c.null = process.OpenNull(c.b, c.Host.Std)
	}
}

// seen reports whether there are hooks that see the container's mount namespace before the
// pivot.
func seen(h *specs.Hooks) bool {
	return h != nil && len(h.Prestart)+len(h.CreateRuntime)+len(h.CreateContainer) > 0
}

// destinations returns where the configuration mounts something that is there: no copy of a
// symbolic link, and nothing that a later mount on "/" covers.
func (c *compiler) destinations() []string {
	mounts := c.Spec.Mounts
	list := make([]string, 0, len(mounts))
	for i := max(rootfs.OnRoot(mounts), 0); i < len(mounts); i++ {
		if c.Links[i] == "" {
			list = append(list, mounts[i].Destination)
		}
	}
	return list
}

// bindsAll reports whether the host's whole tree is bound: the copy must not have the
// container's root on top of it.
func bindsAll(s *specs.Spec) bool {
	return slices.ContainsFunc(s.Mounts, func(m specs.Mount) bool { return m.Source == "/" && rootfs.BindsTree(&m) })
}

// mountsProc reports whether a new procfs is mounted.
func mountsProc(s *specs.Spec) bool {
	mounts := s.Mounts[max(rootfs.OnRoot(s.Mounts), 0):] // those before it are not made
	return slices.ContainsFunc(mounts, func(m specs.Mount) bool { return m.Type == "proc" })
}

// namespaces emits the child's way to being root of all its namespaces.
func (c *compiler) namespaces() {
	b := c.b
	// Before all else: what is used from here on is the container's account, and the cgroup
	// namespace's root is the cgroup that the process is in.
	c.out.Tasks = enterCgroups(b, c.Tasks)
	c.ns.Enter(b, Adopt) // before Born: the runtime writes the mappings of what exists
	// Root of a user namespace owns a keyring only when ids are mapped.
	userns := c.ns.Own(unix.CLONE_NEWUSER)
	var ring program.Reg
	if c.Keyring != "" && !userns {
		ring = keyring.Make(b, c.Keyring)
	}
	born := b.Element(program.T("linux"))
	if c.Unattended {
		born.Doing(program.T("tell the runtime of the birth")).Tell(Born, ring)
	} else {
		born.Doing(program.T("wait for the runtime to write mappings and limits")).Barrier(Born, ring)
	}
	c.root.Relock(b)                  // after Born, too, and as the caller, who can go where the container's root cannot
	c.ns.BecomeRoot(b, linux(c.Spec)) // after Born: without mappings there is no id 0
	process.Setsid(b)                 // after Enter, which may clone: a child leads no session
	if c.Keyring != "" && userns {
		ring := keyring.Make(b, c.Keyring)
		b.Element(program.T("process")).Doing(program.T("tell the runtime of the session keyring")).Tell(keyring.MadeTag, ring)
	}
	c.restOfNamespaces() // as root there: a cgroup and a time namespace are made with CAP_SYS_ADMIN
	c.ns.Loopback(b)     // needs CAP_NET_ADMIN in the namespace's owner
	domain := c.Spec.Domainname
	if domain == "" {
		domain = sysctl.Domainname(linux(c.Spec).Sysctl)
	}
	namespace.Names(b, c.Spec.Hostname, domain) // needs CAP_SYS_ADMIN there
}

// restOfNamespaces emits those that come after Born, which may move the process.
func (c *compiler) restOfNamespaces() {
	var offsets func(b *program.Builder)
	if len(linux(c.Spec).TimeOffsets) > 0 {
		offsets = func(b *program.Builder) {
			open := c.opens(b, "let the runtime open their file, which is the user's then")
			b.Doing(program.T("wait for the runtime to write them")).Barrier(TimeOffsets, 0)
			if open {
				closed(b)
			}
		}
	}
	c.ns.Rest(c.b, offsets)
}

// rootfs emits the root file system, with the hooks that see it before the
// pivot.
func (c *compiler) rootfs() {
	b := c.b
	c.proc = c.root.PrivateProc(b, c.Host.Denied.Fsopen) // before the container's mounts could stand in its way
	c.root.Mount(b)                                      // before the pivot: sources are found in the host's tree
	if seen(c.Spec.Hooks) {
		b := b.Element(program.T("hooks")).Doing(program.T("get ready for prestart, createRuntime and createContainer"))
		c.root.Stand(b) // createContainer hooks begin where init is
		open := c.opens(b, "let the runtime join the namespaces for hooks")
		b.Doing(program.T("wait for the runtime to run prestart, createRuntime and createContainer")).Barrier(Hooks, 0)
		if open {
			closed(b)
		}
	}
	c.root.Pivot(b)                              // after the hooks, which see both trees
	sysctl.Emit(b, c.proc, linux(c.Spec).Sysctl) // as root of the namespaces, who owns the parameters
	if c.Spec.Process != nil && c.Spec.Process.Terminal {
		c.terminal() // after the pivot, on the container's devpts; before /dev is read-only
	}
	if c.Spec.Process != nil {
		process.MakeCwd(b, c.Spec.Process.Cwd, c.destinations()) // before the root is read-only
	}
	c.root.Finish(b) // last of what writes to the root: masks, read-only paths and root
}

// terminal emits the terminal of init, which is on /dev/console, too.
func (c *compiler) terminal() {
	b := terminal.Label(c.b)
	ptmx, slave := terminal.Open(b, c.root.Fd, c.Spec.Process)
	c.root.BindConsole(b, slave)
	terminal.Use(b, ptmx, slave)
}

// opens emits the opening of the process to the runtime of a user without privileges, who
// could not join its namespaces otherwise, and reports whether it is that of one. In its new
// user namespace nobody else is whom that would serve.
//
// Source: pidfd_open(2) and setns(2), "ptrace access mode PTRACE_MODE_READ_REALCREDS".
func (c *compiler) opens(b *program.Builder, why string) bool {
	if !c.Host.User || !c.ns.Made(unix.CLONE_NEWUSER) || c.ns.Joins() {
		return false
	}
	call.PrctlDumpable(b.Doing(program.T("%s", why)))
	return true
}

// closed emits the end of what opens has begun.
func closed(b *program.Builder) {
	call.PrctlUndumpable(b.Doing(program.T("stay closed to the processes of the user")))
}

// process emits the properties of the process, up to its readiness for start.
func (c *compiler) process() {
	b, proc := c.b, c.Spec.Process
	process.Signals(b, c.Host.Ignored) // before signals are unblocked: no handler of Go's may run here
	sched.ResetAffinity(b)             // in the container's cgroup, whose cpuset bounds it
	joiner := &joining{
		b: b, p: proc, linux: membersOf(c.Spec.Linux), filter: c.filter, host: &c.Host, null: c.null, userns: c.ns.Own(unix.CLONE_NEWUSER),
		groups: c.KeepGroups, preserved: c.Preserved, env: c.extraEnv(), waits: c.Fifo, clone: c.last,
	}
	if c.Fifo {
		joiner.keep = []program.Reg{c.out.Go, c.out.Result}
	}
	joiner.made = func() { c.hooks = newStartHooks(b, c.Spec.Hooks, c.HookFiles) }
	if proc == nil {
		joiner.close()
		if c.Fifo {
			process.EndOnSignals(b)
		}
		if c.last {
			joiner.cloneLast(false)
		}
		return
	}
	if !joiner.userns && !c.Host.Nested { // else the runtime does it, which has the privileges, or knows that it has not
		limit.OOMScoreAdj(b, c.proc, proc) // to lower it needs CAP_SYS_RESOURCE: before the ids
	}
	// Before become closes c.proc and takes the right to change the label.
	lsm.Emit(b, c.proc, proc, c.Host.LSM)
	c.ready = joiner.become()
}

// extraEnv returns what Hutch adds to the environment.
func (c *compiler) extraEnv() []string {
	var env []string
	if c.NotifyDir != "" {
		env = append(env, "NOTIFY_SOCKET="+notify.ContainerDir+"/"+notify.Name)
	}
	if c.ListenFds > 0 {
		env = append(env, "LISTEN_FDS="+strconv.Itoa(c.ListenFds), "LISTEN_PID=1")
	}
	return env
}

// start emits the wait for start, and execve.
func (c *compiler) start() {
	b := c.b.Element(program.T("process"))
	open := false
	if c.Fifo && (c.filter == nil || allows(c.filter, unix.SYS_PRCTL)) { // to be closed again
		// Nothing of the host is open any more but the fifos.
		open = c.opens(b, "let exec join the namespaces before start")
	}
	// Before Ready: with a listener that is handed over, init is ready.
	if c.ready != nil {
		c.ready.load(b)
	}
	ready := b.Doing(program.T("get ready for start"))
	if c.ready == nil || c.filter == nil || !c.filter.Notify { // else Loading has told it
		ready.Tell(Ready, 0)
	}
	c.out.Start = b.Len()
	// An init that nobody has written down must not go on.
	ready.Wait(Ready, b.Zero(1))
	if c.Fifo {
		c.waitFifo(b) // after Ready: the runtime that made init leaves then
	}
	// After the wait: a container without a process can be created, and not started.
	if c.Spec.Process == nil {
		b.Doing(program.T("is absent: there is nothing to start")).Fail(0)
		return
	}
	if c.hooks != nil {
		c.hooks.receive(b, func(b *program.Builder, frame program.Mem) {
			if c.Fifo {
				call.Read(b, call.In(c.out.Go), frame)
			} else {
				b.Wait(HookBegins, frame)
			}
		})
	}
	// Before the first program of the image's.
	if open {
		closed(b)
	}
	if c.hooks != nil {
		c.hooks.run(b, c.ready.env) // behind the filter, as what the container's process is
	}
	c.ready.run(b, c.Spec.Process)
}

// waitFifo emits the wait for start's byte. From then on reports go to
// result.fifo: the process that made this one has left.
func (c *compiler) waitFifo(b *program.Builder) {
	b = b.Doing(program.T("wait for start"))
	step := b.Step(program.T("put result.fifo in the socket's place"))
	call.Dup3(step, call.In(c.out.Result), call.Over(b.Sync()), unix.O_CLOEXEC)
	if c.hooks != nil {
		return // the state comes by it
	}
	call.Read(b.Step(program.T("read exec.fifo")), call.In(c.out.Go), b.Zero(1))
}
