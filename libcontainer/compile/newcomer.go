package compile

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hutch/libcontainer/capability"
	"hutch/libcontainer/namespace"
	"hutch/libcontainer/process"
	"hutch/libcontainer/program"
	"hutch/libcontainer/rootfs"
	"hutch/libcontainer/seccomp"
)

// newcomer is a process that becomes one of the container's: its init, or a further one.
type newcomer struct {
	b         *program.Builder
	p         *specs.Process
	linux     *specs.Linux // its personality, memoryPolicy and seccomp count
	filter    *seccomp.Filter
	host      *Host
	null      program.Reg // see process.OpenNull
	userns    bool        // the container has a user namespace of its own
	preserved []int
	keep      []program.Reg // descriptors that outlive the closing
	env       []string      // in addition to the configuration's
	made      func()        // emits the making of files that are the container's alone, or nil
	clone     bool          // into the container's pid namespace, where others may be
}

// ready is a process that has only its filter and execve before it.
type ready struct {
	target *process.Target
	env    program.Mem
	filter *seccomp.Filter
	caps   *capability.Sets
	hold   uint64 // what is held to load the filter
}

// become emits the properties of the process, up to the search for its program.
func (n *newcomer) become() *ready {
	b, p := n.b, n.p
	r := &ready{filter: n.filter, caps: capability.New(p.Capabilities, n.host.LastCap)}
	if !n.userns { // root of a user namespace holds all of them there
		r.caps.Within(n.host.HeldCaps)
	}
	r.hold = n.held()
	lastSched := n.clone && process.LastScheduler(p)
	if !lastSched {
		process.Scheduler(b, p)
	}
	process.IOPriority(b, p)
	process.Personality(b, n.linux)
	process.MemoryPolicy(b, n.linux)
	if !p.Terminal { // which was handed over when it was opened
		process.Stdio(b, p, n.host.Std, n.null, n.userns)
	}
	n.close()
	if n.made != nil {
		n.made()
	}
	cwd := process.EnterCwd(b, p.Cwd) // as root, who may go where the user may not
	if !n.userns {
		process.Rlimits(b, p) // needs CAP_SYS_RESOURCE
	}
	r.caps.Bounding(b) // needs CAP_SETPCAP
	process.IDs(b, p)  // needs CAP_SETUID, CAP_SETGID
	r.caps.Apply(b, r.hold)
	process.Umask(b, p)
	process.NoNewPrivileges(b, p)
	r.env = process.Env(b, p, n.env) // reads a file of the image, so with the container's rights
	if n.clone {
		n.cloneLast()
	}
	if p.Terminal {
		rootfs.ControllingTerminal(b) // of this process's session
	}
	if lastSched {
		process.Scheduler(b, p)
	}
	process.LastRlimits(b, p)
	cwd.Prove(b)
	r.target = process.Lookup(b, p.Args[0], p.Env)
	return r
}

// held are the capabilities beyond the container's own that the last steps need: to load
// a filter without noNewPrivileges, and to set a scheduler that is not handed on.
func (n *newcomer) held() uint64 {
	var hold uint64
	if n.filter != nil && !n.p.NoNewPrivileges {
		hold |= 1 << unix.CAP_SYS_ADMIN
	}
	if n.clone && process.LastScheduler(n.p) {
		hold |= 1 << unix.CAP_SYS_NICE
	}
	return hold
}

// close emits the closing of the runtime's descriptors. From here on the kernel may
// resolve names that the image chose.
func (n *newcomer) close() { process.CloseOthers(n.b, n.preserved, n.keep...) }

// cloneLast emits the clone into the container's pid namespace.
func (n *newcomer) cloneLast() {
	namespace.Clone(n.b, Adopt)
	process.Setsid(n.b)
}

// load emits the loading of the filter. It comes last, so that of Hutch's own
// calls only those of the wait for start, execve, and without noNewPrivileges
// capset, have to be in the profile.
func (r *ready) load(b *program.Builder) {
	if r.filter != nil {
		loadFilter(b, r.filter)
	}
	r.caps.Drop(b, r.hold)
}

// run emits the execve.
func (r *ready) run(b *program.Builder, p *specs.Process) {
	process.Unblock(b)
	b.Tell(Executing, 0)
	r.target.Execve(b, p.Args, r.env)
}
