package compile

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hutch/libcontainer/capability"
	"hutch/libcontainer/keyring"
	"hutch/libcontainer/lsm"
	"hutch/libcontainer/namespace"
	"hutch/libcontainer/process"
	"hutch/libcontainer/program"
	"hutch/libcontainer/rootfs"
	"hutch/libcontainer/seccomp"
)

// ExecInput is all that the program of a further process in a container depends
// on.
type ExecInput struct {
	Init       namespace.Init
	Process    *specs.Process
	Linux      *specs.Linux // its personality, memoryPolicy and seccomp count
	OwnKeyring bool         // the container has a session keyring
	Keyring    string       // its name, and its serial number, 0 where it is not known
	Serial     int64

	PreserveFds int
	Shield      func(*program.Builder) error // as in Input
	Host        Host
}

// Exec builds the program of a further process in a container. It tells Adopt
// and Executing, waits at Born when the runtime has to set what the process may
// not, and asks what the emitters ask.
func Exec(in *ExecInput) (*program.Program, error) {
	b, p := program.New(), in.Process
	if in.Shield != nil {
		if err := in.Shield(b); err != nil {
			return nil, err
		}
	}
	userns := in.Init.Flags&unix.CLONE_NEWUSER != 0
	process.InitialAffinity(b, p)
	in.Init.Join(b, Adopt)
	if p.OOMScoreAdj != nil || userns {
		b.Element(program.T("process"))
		b.Doing(program.T("wait for the runtime to set limits"))
		b.Barrier(Born, 0)
	}
	process.Setsid(b)
	if in.OwnKeyring {
		keyring.Join(b, in.Keyring, in.Serial)
	}
	var proc program.Reg
	if p.ApparmorProfile != "" || p.SelinuxLabel != "" {
		proc = rootfs.PrivateProc(b)
	}
	if p.Terminal {
		rootfs.Terminal(b, p)
	}
	process.Signals(b, in.Host.Ignored)
	if !process.FinalAffinity(b, p) && (p.ExecCPUAffinity == nil || p.ExecCPUAffinity.Initial == "") {
		process.ResetAffinity(b)
	}
	if !userns {
		process.Rlimits(b, p)
	}
	f, err := filter(in.Linux)
	if err != nil {
		return nil, err
	}
	e := become(b, p, in.Linux, f, &in.Host, proc, userns, nil)
	process.Descriptors(b, in.PreserveFds)
	e.load(b)
	if f != nil && f.Notify {
		b.Wait(Loading, b.Zero(1)) // execve closes the listener
	}
	e.run(b, p)
	return b.Program()
}

// ready is a process that has only its filter and execve before it.
type ready struct {
	target *process.Target
	env    program.Mem
	filter *seccomp.Filter
	caps   *capability.Sets
	hold   uint64 // what is held to load the filter
}

// become emits the properties of the process that init and further ones have in
// common, up to the search for its program.
func become(b *program.Builder, p *specs.Process, l *specs.Linux, f *seccomp.Filter, h *Host, proc program.Reg, userns bool, extraEnv []string) *ready {
	process.Scheduler(b, p)
	process.IOPriority(b, p)
	process.Personality(b, l)
	process.MemoryPolicy(b, l)
	lsm.Emit(b, proc, p, h.LSM)
	r := &ready{env: process.Env(b, p, extraEnv), filter: f}
	process.Stdio(b, p)
	cwd := process.EnterCwd(b, p.Cwd)
	r.caps = capability.New(p.Capabilities, h.LastCap)
	if !userns { // root of a user namespace holds all of them there
		r.caps.Within(h.HeldCaps)
	}
	if f != nil && !p.NoNewPrivileges {
		r.hold = 1 << unix.CAP_SYS_ADMIN
	}
	r.caps.Bounding(b)
	process.IDs(b, p)
	r.caps.Apply(b, r.hold)
	cwd.Prove(b)
	process.Umask(b, p)
	process.NoNewPrivileges(b, p)
	r.target = process.Lookup(b, p.Args[0], p.Env)
	return r
}

// load emits the loading of the filter. It comes last, so that of Hutch's own
// calls only those of the wait for start, execve, and without noNewPrivileges
// capset, have to be in the profile.
func (r *ready) load(b *program.Builder) {
	if r.filter == nil {
		return
	}
	loadFilter(b, r.filter)
	r.caps.Drop(b, r.hold)
}

// run emits the execve.
func (r *ready) run(b *program.Builder, p *specs.Process) {
	process.Unblock(b)
	b.Tell(Executing, 0)
	r.target.Execve(b, p.Args, r.env)
}
