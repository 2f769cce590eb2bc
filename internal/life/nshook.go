package life

import (
	"os"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/host/selfexe"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/internal/seat"
)

// inNamespaces starts createContainer hooks: as root of the container's namespaces, with
// the root directory that its init has at the time, which is the host's, and the
// container's root as the working directory, in a process group of its own.
type inNamespaces struct {
	init    namespace.Init
	ignored []unix.Signal
	env     func() []string // of hooks that have none; nil stands for an empty one
}

// start makes the process of h. The caller owns the pidfd and reaps the process.
func (n *inNamespaces) start(h specs.Hook, std [3]*os.File) (pidfd, pid int, err error) {
	p, link, err := n.compile(h, [3]int{int(std[0].Fd()), int(std[1].Fd()), int(std[2].Fd())})
	if err != nil {
		return -1, 0, err
	}
	done, err := link.Open(p)
	if err != nil {
		return -1, 0, err
	}
	defer done()
	c, err := spawnHidden(p, &spawn.Options{Cgroup: -1})
	if err != nil {
		return -1, 0, err
	}
	defer c.Close()
	if err := n.server(c).serve(); err != nil {
		c.Kill()
		return -1, 0, err
	}
	return c.TakePidfd(), c.Pid, nil
}

// server serves the process of a hook up to the execution of its program. Whoever waits
// for the hook sees how it has ended, also before that.
func (n *inNamespaces) server(c *spawn.Child) *server {
	s := newServer("the process of the hook", c, nil)
	reparent := func(e spawn.Event) (answer, error) { return release, c.Adopt(e) }
	s.handlers = []handler{
		{tag: compile.Adopt, doing: "prove that it is the runtime's child, and follow it", serve: reparent},
		s.executes(),
	}
	s.next = func(time.Time) (spawn.Event, error) {
		return c.NextWhile(n.init.Pidfd) // in a shared pid namespace others may stop the child
	}
	s.ended = func() error { return nil }
	return s
}

func (n *inNamespaces) compile(hook specs.Hook, std [3]int) (*program.Program, *selfexe.Link, error) {
	b := compile.NewProgram(seat.Calls())
	link, err := selfexe.Shield(b)
	if err != nil {
		return nil, nil, err
	}
	b = b.Element(program.T("hooks.createContainer")).Doing(program.T("get ready for the hook"))
	step := b.Step(program.T("set up standard input and output"))
	for i, fd := range std {
		call.Dup3(step, call.Number(fd), call.As(i), 0)
	}
	n.init.Join(b)              // with the runtime's rights, which the hook keeps: its program is the host's
	process.CloseOthers(b, nil) // before it can be seen in the container
	if n.init.Clones() {        // after the closing: from here on the container can reach it
		namespace.Clone(b, compile.Adopt, false)
	}
	call.Setpgid(b.Step(program.T("make a process group"))) // after the clone: of the process that goes on
	process.Signals(b, n.ignored)                           // before signals are unblocked: none may run a handler of Go's
	process.Unblock(b)                                      // late: a signal that has waited ends the process here
	b.Tell(compile.Executing, 0)
	b = b.Element(program.T("hooks.createContainer")).Step(program.T("execute %s", hook.Path))
	args := hook.Args
	if len(args) == 0 {
		args = []string{hook.Path}
	}
	env := hook.Env
	if env == nil && n.env != nil {
		env = n.env()
	}
	call.Execve(b, call.PathTo(b, hook.Path), call.Argv(b.Strv(args)), call.Envv(b.Strv(env)))
	p, err := b.Program()
	return p, link, err
}
