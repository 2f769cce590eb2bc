package compile

import (
	"runtime"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/machine"
	"github.com/hutch-project/hutch/internal/part/capability"
	"github.com/hutch-project/hutch/internal/part/limit"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/part/sched"
	"github.com/hutch-project/hutch/internal/part/seccomp"
	"github.com/hutch-project/hutch/internal/part/terminal"
	"github.com/hutch-project/hutch/internal/part/user"
	"github.com/hutch-project/hutch/internal/program"
)

// joining is a process that becomes one of the container's: its init, or a further one.
type joining struct {
	b         *program.Builder
	p         *specs.Process
	linux     ofProcess
	filter    *seccomp.Filter
	host      *Host
	null      program.Reg // see process.OpenNull
	userns    bool        // the container has a user namespace of its own
	groups    bool        // are the caller's
	preserved []int
	keep      []program.Reg // descriptors that outlive the closing
	env       []string      // in addition to the configuration's
	made      func()        // emits the making of files that are the container's alone, or nil
	waits     bool          // for start, when the runtime has left
	clone     bool          // into the container's pid namespace, where others may be
}

// ready is a process that has only its filter and execve before it.
type ready struct {
	target *process.Target
	env    program.Mem
	filter *seccomp.Filter
	caps   *capability.Sets
	hold   uint64 // what is held for the last steps
	loaded bool   // the filter is, and nothing is held any more
}

// become emits the properties of the process, up to the search for its program. The order
// is from what needs privileges to what is done without: each line says what it needs, or
// what must have been before it.
func (n *joining) become() *ready {
	b, proc := n.b, n.p
	prepared := &ready{filter: n.filter, caps: capability.New(proc.Capabilities, n.host.LastCap)}
	if !n.userns { // root of a user namespace holds all of them there
		prepared.caps.Within(n.host.HeldCaps)
	}
	prepared.hold = n.held()
	lastSched := n.clone && sched.LastScheduler(proc)
	if !lastSched {
		sched.Scheduler(b, proc) // before the ids: real-time policies need CAP_SYS_NICE
	}
	sched.IOPriority(b, proc)                   // before the ids: IOPRIO_CLASS_RT needs CAP_SYS_NICE or CAP_SYS_ADMIN
	process.Personality(b, n.linux.Personality) // anywhere before execve, which it is for
	sched.MemoryPolicy(b, n.linux.MemoryPolicy) // after the cgroup, whose cpuset bounds the nodes
	// Before the ids: a change of owner needs CAP_CHOWN. Before close, which takes n.null.
	if !proc.Terminal { // which was handed over when it was opened
		process.Stdio(b, proc, n.host.Std, n.null, n.userns)
	}
	// Before the working directory, the first name of the image's choice. What is made after
	// it must be the container's.
	n.close()
	if n.made != nil {
		n.made()
	}
	cwd := process.EnterCwd(b, proc.Cwd) // as root, who may go where the user may not
	if !n.userns {
		limit.Rlimits(b, proc) // before the ids: needs CAP_SYS_RESOURCE
	}
	prepared.caps.Bounding(b) // needs CAP_SETPCAP, which Apply may take
	if !n.groups {
		user.Groups(b, proc) // before the ids: needs CAP_SETGID
	}
	user.IDs(b, proc)                     // needs CAP_SETUID and CAP_SETGID, which Apply may take
	prepared.caps.Apply(b, prepared.hold) // after the ids, whose change clears the effective and the ambient set
	user.Umask(b, proc)                   // after the last file that Hutch makes
	process.NoNewPrivileges(b, proc)      // before the filter, which without it takes CAP_SYS_ADMIN
	// It reads a file of the image: with the container's rights, and no others.
	prepared.env = process.Env(b, proc, n.env, user.AskHome)
	if n.waits { // after all that may not be cut short; before the filter
		process.EndOnSignals(b)
	}
	if n.clone { // after all that takes privileges: who is in the namespace may take what is left
		if n.filterFirst() {
			prepared.load(b)
		}
		n.cloneLast(prepared.loaded)
	}
	if proc.Terminal {
		terminal.Control(b) // after Setsid: of this process's session
	}
	if lastSched {
		sched.Scheduler(b, proc) // after the clone, which does not hand it on
	}
	limit.LastRlimits(b, proc) // after the last clone and the last descriptor that is needed
	cwd.Prove(b)               // after the ids: some directories only the user may enter
	// As the user, from the working directory, as execvp(3) would.
	prepared.target = process.Lookup(b, proc.Args[0], proc.Env, !prepared.loaded) // no more calls than the profile has to have
	return prepared
}

// filterFirst reports whether the filter is loaded before the clone: without
// noNewPrivileges that takes CAP_SYS_ADMIN, which the process must not have where a
// container with CAP_SYS_PTRACE could take it over. The calls that follow must then be in
// the profile; where one is not, the filter comes last.
func (n *joining) filterFirst() bool {
	if n.filter == nil || n.filter.Notify || n.p.NoNewPrivileges || sched.LastScheduler(n.p) {
		return false
	}
	arch := seccomp.AuditArch(runtime.GOARCH)
	allows := func(nr uintptr, args ...uint64) bool {
		d := &seccomp.Data{Number: int32(nr), Arch: arch}
		copy(d.Args[:], args)
		v := n.filter.Verdict(d) & unix.SECCOMP_RET_ACTION_FULL
		return v == unix.SECCOMP_RET_ALLOW || v == unix.SECCOMP_RET_LOG
	}
	first, second := machine.CloneArgs(program.CloneFlags, 0)
	// What the steps after it make.
	for _, nr := range [...]uintptr{
		unix.SYS_CAPSET, unix.SYS_EXIT_GROUP, unix.SYS_READ, unix.SYS_WRITE, unix.SYS_SETSID, unix.SYS_PRLIMIT64,
		unix.SYS_OPENAT2, unix.SYS_FCHDIR, unix.SYS_CLOSE, unix.SYS_GETCWD, unix.SYS_STATX, unix.SYS_FACCESSAT2, unix.SYS_FACCESSAT, unix.SYS_DUP3,
		unix.SYS_RT_SIGPROCMASK, unix.SYS_EXECVE,
	} {
		if !allows(nr) {
			return false
		}
	}
	return allows(unix.SYS_CLONE, first, second) && (!n.p.Terminal || allows(unix.SYS_IOCTL, 0, unix.TIOCSCTTY))
}

// held returns the capabilities beyond the container's own that the last steps need: to load
// a filter without noNewPrivileges, and to set a scheduler that is not handed on.
func (n *joining) held() uint64 {
	var hold uint64
	if n.filter != nil && !n.p.NoNewPrivileges {
		hold |= 1 << unix.CAP_SYS_ADMIN
	}
	if n.clone && sched.LastScheduler(n.p) {
		hold |= 1 << unix.CAP_SYS_NICE
	}
	return hold
}

// close emits the closing of the runtime's descriptors. From here on the kernel may
// resolve names that the image chose.
func (n *joining) close() {
	process.CloseOthers(n.b, n.preserved, n.keep...)
	if n.host.ManyFiles {
		process.LowSocket(n.b) // before the limit of open files, which may be below its number
	}
}

// cloneLast emits the clone into the container's pid namespace.
func (n *joining) cloneLast(filtered bool) {
	namespace.Clone(n.b, Adopt, filtered)
	process.Setsid(n.b)
}

// load emits the loading of the filter, once. It comes last, but for filterFirst, so that of
// Hutch's own calls only those of the wait for start, execve, and without noNewPrivileges capset,
// have to be in the profile.
func (r *ready) load(b *program.Builder) {
	if r.loaded {
		return
	}
	r.loaded = true
	if r.filter != nil {
		loadFilter(b, r.filter)
	}
	r.caps.Drop(b, r.hold)
}

// run emits the execve.
func (r *ready) run(b *program.Builder, p *specs.Process) {
	process.Unblock(b) // late: a signal that has waited ends the process here
	b.Element(program.T("process")).Doing(program.T("tell the runtime that the program is next")).Tell(Executing, 0)
	r.target.Execve(b, p.Args, r.env)
}
