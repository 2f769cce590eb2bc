package compile

import (
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/capability"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/part/user"
	"github.com/hutch-project/hutch/internal/program"
)

// names builds the program of a process that reads the container's files of accounts, for
// the names of a user and a group, and ends. The files are the image's: they are read on the
// container's account, in its namespaces, with the ids of its process and no capability, and
// from outside of its pid namespace, where no process of the container can reach the reader.
func names(in *ExecInput) (*program.Program, []program.Reg, error) {
	b := program.New()
	if in.Shield != nil {
		if err := in.Shield(b); err != nil {
			return nil, nil, err
		}
	}
	tasks := enterCgroups(b, in.Tasks) // first: what is used from here on is the container's account
	if in.Wait {
		b.Element(program.T("process")).Doing(program.T("wait for the runtime to move the process")).Barrier(Born, 0)
	}
	in.joined().Join(b)
	// Before the first name: in other namespaces than the container's its files are not its own.
	b.Element(program.T("linux.namespaces")).Doing(program.T("wait for the runtime to see that init has left none of them")).Barrier(Joined, 0)
	process.CloseOthers(b, nil) // before the first name of the image's choice
	if !in.KeepGroups {
		user.Groups(b, in.Process)
	}
	// After the groups, which need CAP_SETGID, and before no capability is left.
	user.IDs(b, in.Process)
	capability.New(nil, in.Host.LastCap).Apply(b, 0)
	b = b.Element(program.T("process.user"))
	user.SendNames(b)
	b = b.Doing(program.T("end"))
	b.Tell(Executing, 0)
	b.Exit(0)
	p, err := b.Program()
	return p, tasks, err
}

// joined is Init as the process of in joins it.
func (in *ExecInput) joined() *namespace.Init {
	init := in.Init
	if in.Names {
		init.Flags &^= unix.CLONE_NEWPID
	}
	return &init
}
