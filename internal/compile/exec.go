package compile

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/keyring"
	"github.com/hutch-project/hutch/internal/part/lsm"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/part/sched"
	"github.com/hutch-project/hutch/internal/part/terminal"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// ExecInput is all that the program of a further process in a container depends
// on.
type ExecInput struct {
	Init       namespace.Init
	Process    *specs.Process
	Linux      *specs.Linux // what LinuxOfProcess names counts
	OwnKeyring bool         // the container has a session keyring
	Keyring    string       // its name, and its serial number, 0 where it is not known
	Serial     int64

	Names bool // the process reads the files of accounts, and ends; of Process counts the user
	Annotated
	Preserved []int                        // as in Input
	Tasks     int                          // as in Input
	Wait      bool                         // the runtime has work to do at Born
	Shield    func(*program.Builder) error // as in Input
	Host      Host
}

// Exec builds the program of a further process in a container, and returns the registers
// for the descriptors of in.Tasks. It tells Adopt or Joined, and Executing, waits at Born when the
// runtime has to set what the process may not, and asks what the emitters ask.
//
// Until the last clone the process is outside of the container's pid namespace, where
// nobody can trace it. So all that takes privileges or descriptors of the host comes
// before, and what enters has no more than the container's own processes.
func Exec(in *ExecInput) (*program.Program, []program.Reg, error) {
	if in.Names {
		return names(in)
	}
	b, proc := NewProgram(in.Host.Denied), in.Process
	if in.Shield != nil { // before the join: from then on the container could reach the process
		if err := in.Shield(b); err != nil {
			return nil, nil, err
		}
	}
	linux := membersOf(in.Linux)
	seccompFilter, err := filter(linux.Seccomp, in.RawFilter)
	if err != nil {
		return nil, nil, err
	}
	joiner := &joining{
		b: b, p: proc, linux: linux, filter: seccompFilter, host: &in.Host, userns: in.Init.Flags&unix.CLONE_NEWUSER != 0,
		groups: in.KeepGroups, preserved: in.Preserved, clone: in.Init.Clones(),
	}
	if !proc.Terminal {
		joiner.null = process.OpenNull(b, in.Host.Std) // while /dev is the host's
	}
	sched.InitialAffinity(b, proc) // before the cgroup, whose cpuset may not have these processors
	// Before the barrier: the runtime then moves the process where it cannot go by itself.
	tasks := enterCgroups(b, in.Tasks)
	if in.Wait {
		b.Element(program.T("process")).Doing(program.T("wait for the runtime to set limits")).Barrier(Born, 0)
	}
	if proc.ApparmorProfile != "" || proc.SelinuxLabel != "" {
		// Before the join: what is below /proc then is the host's, and not the container's.
		lsm.Emit(b, privateProc(b, &in.Host), proc, in.Host.LSM)
	}
	in.Init.Join(b)    // after what is opened of the host, whose names mean something else from here on
	if !joiner.clone { // else after the clone: its child is no leader of a session
		b.Element(program.T("linux.namespaces")).Doing(program.T("wait for the runtime to see that init has left none of them")).Barrier(Joined, 0)
		process.Setsid(b) // before the terminal, which only the leader of a session takes
	}
	if in.OwnKeyring {
		keyring.Join(b, in.Keyring, in.Serial) // as root of the namespaces, who owns it
	}
	if proc.Terminal {
		terminal.Exec(b, proc) // of the container's devpts: after the join
	}
	process.Signals(b, in.Host.Ignored) // before signals are unblocked: no handler of Go's may run here
	// After the cgroup, whose cpuset bounds it.
	if !sched.FinalAffinity(b, proc) && (proc.ExecCPUAffinity == nil || proc.ExecCPUAffinity.Initial == "") {
		sched.ResetAffinity(b)
	}
	e := joiner.become()
	e.load(b) // last: of Hutch's own calls few then have to be in the profile
	if seccompFilter != nil && seccompFilter.Notify {
		b.Element(program.T("linux.seccomp")).Doing(program.T("wait for the runtime to take the listener")).Wait(Loading, b.Zero(1)) // execve closes the listener
	}
	e.run(b, proc)
	program, err := b.Program()
	return program, tasks, err
}

// privateProc emits a procfs that the container cannot have mounted on: the host's where
// fsopen is denied.
func privateProc(b *program.Builder, h *Host) program.Reg {
	if h.Denied.Fsopen {
		return rootfs.HostProc(b)
	}
	return rootfs.PrivateProc(b)
}

// CgroupElement is the part of config.json that the entry into the cgroups is for.
const CgroupElement = "linux.cgroupsPath"

// enterCgroups emits the entry into the cgroups of n files named tasks or, where no
// process is born in its cgroup v2, cgroup.procs, and returns the
// registers for their descriptors. A process that writes "0" for itself, having one thread,
// waits for nobody; one that is moved by another waits for an RCU grace period. The
// runtime's own threads are never there, where a freezer could stop them or a kill
// hit them.
//
// Source: Linux kernel/cgroup/cgroup.c, cgroup_procs_write_start.
func enterCgroups(b *program.Builder, n int) []program.Reg {
	tasks := make([]program.Reg, n)
	b = b.Element(program.T(CgroupElement)).Doing(program.T("enter the cgroup"))
	for i := range tasks {
		tasks[i] = b.RegOf(-1)
		call.WriteString(b.Step(program.T("write 0 to tasks")), call.In(tasks[i]), "0")
	}
	return tasks
}
