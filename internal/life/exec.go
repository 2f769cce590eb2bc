package life

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/config"
	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/selfexe"
	"github.com/hutch-project/hutch/internal/part/limit"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/part/terminal"
	"github.com/hutch-project/hutch/internal/part/user"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/internal/seat"
	"github.com/hutch-project/hutch/internal/trace"
	"github.com/hutch-project/hutch/internal/validate"
)

// ExecOptions are what exec takes beside the id.
type ExecOptions struct {
	// Process is the process to run; what it leaves out is the container's, see
	// inherit. Nil is the container's own process with Change applied.
	Process *specs.Process
	Change  func(*specs.Process)
	User    *UserName // who the process is, by the container's files of accounts; nil for its ids

	ConsoleSocket string   // path of the socket that takes the terminal's descriptor
	PidfdSocket   string   // path of the socket that takes the process's pidfd
	PidFile       string   // path of the file that takes the process id
	Detach        bool     // return when the process runs
	IgnorePaused  bool     // also in a paused container, where the process waits
	Cgroups       []string // sub-cgroups, see cgroup.ParseSub
	PreserveFds   int      // number of descriptors, from 3 on, handed to the process
	TraceFile     string   // path of a Chrome trace to write; empty is none

	Embed *Embedder // nil for a command; with one, Detach is set
}

// Exec runs a further process in the container id and waits for its end. It
// returns the exit status, 128+n when signal n ended it. With o.Detach it
// returns when the process runs.
func (r *Runtime) Exec(id string, opts *ExecOptions) (status int, retErr error) {
	defer func() { retErr = named("exec", id, retErr) }()
	own := *opts
	if own.PreserveFds, retErr = preserved(opts.PreserveFds, 0); retErr != nil {
		return -1, retErr
	}
	if retErr = trace.Check(opts.TraceFile); retErr != nil {
		return -1, retErr
	}
	ex := &execution{r: r, o: &own}
	if !opts.Detach {
		ex.signals = terminal.Forward(r.Alone)
	}
	if opts.TraceFile != "" {
		ex.trace = trace.New()
	}
	defer ex.close()
	if err := ex.begin(id); err != nil {
		ex.kill()
		return -1, err
	}
	ex.guard.end()
	opts.Embed.take(ex.child, &ex.console.master)
	r.warnIf(ex.trace.Write(opts.TraceFile)) // the process runs, and is waited for
	if opts.Detach {
		return 0, nil
	}
	status, err := await(ex.child, ex.signals)
	ex.console.proxy.Finish()
	return status, err
}

// execution is a further process that is being made.
type execution struct {
	r       *Runtime
	id      string
	o       *ExecOptions
	c       *container
	p       *specs.Process
	own     specs.User // of the container's own process
	reads   *accounts  // while the names of a user are looked for
	linux   *specs.Linux
	pidfd   int // init's
	init    namespace.Init
	work    workList[*execution] // the runtime's own, at the barriers
	child   *spawn.Child
	std     [3]process.StdFile
	console console // of an attached process
	trace   *trace.Trace
	signals *terminal.Forwarder // nil for a detached one
	guard   guard
	way     entrance
	atLimit atLimit
}

// begin does all up to a process that has executed its program. It takes no lock: what it
// meets may be deleted meanwhile, and ends then.
func (e *execution) begin(id string) (err error) {
	e.pidfd = -1
	e.id = id
	e.phase("load state")
	if e.c, err = e.r.open(id, false); err != nil {
		return err
	}
	// Before all that costs: a paused container would hold the process.
	if err := e.allowed(); err != nil {
		return err
	}
	// Before the cgroups: a process that is refused has none to be looked for.
	if err := e.process(); err != nil {
		return err
	}
	if len(e.o.Cgroups) > 0 && !e.c.hasCgroup() {
		return withoutCgroup(errors.New("invalid --cgroup argument"))
	}
	sub, err := cgroup.ParseSub(e.o.Cgroups)
	if err != nil {
		return err
	}
	sub = e.entersAs(sub)
	if err := e.names(sub); err != nil {
		return err
	}
	if err := e.enter(sub); err != nil {
		return err
	}
	// Last: engines take what it writes for success.
	return e.announce()
}

// explainJoin explains why a user cannot exec into a container that waits for start.
func (e *execution) explainJoin(err error) error {
	if seat.User() && errors.Is(err, unix.EPERM) && e.c.status() == Created {
		return fmt.Errorf("%w: before start a user can join only a container that joins no namespace itself; start it first", err)
	}
	return err
}

var errPaused = errors.New("cannot exec in a paused container (use --ignore-paused to override)")

// allowed refuses containers that have no init that runs, and paused ones.
func (e *execution) allowed() (err error) {
	switch s := e.c.status(); {
	case s == Paused && !e.o.IgnorePaused && e.paused():
		return errPaused
	case s == Stopped:
		return errors.New("cannot exec in a stopped container")
	case s == Creating:
		return errors.New("cannot exec in a container that is being created")
	}
	if e.pidfd, err = e.c.pidfd(); err == nil && e.pidfd < 0 {
		err = errors.New("cannot exec in a stopped container")
	}
	return err
}

// process decides on the process to run.
func (e *execution) process() error {
	spec := &specs.Spec{}
	if text := e.c.rec.Process; text != "" {
		var err error
		if spec, err = config.Decode([]byte(text)); err != nil {
			return fmt.Errorf("state: process: %w", err)
		}
	}
	e.linux = spec.Linux
	if e.linux == nil {
		e.linux = &specs.Linux{}
	}
	if err := errors.Join(rawFilter(e.linux, e.c.rec.Annotations), listenerPath(e.linux, e.c.rec.Annotations)); err != nil {
		return err
	}
	if spec.Process != nil {
		e.own = spec.Process.User
	}
	switch e.p = e.o.Process; {
	case e.p != nil:
		e.r.warnOfUnknown(e.p) // before it has the container's, of which create has warned
		inherit(e.p, spec.Process)
	case spec.Process == nil:
		return errors.New("config.json: process is absent, so that the container gives none to change: give --process")
	default:
		e.p = spec.Process
		before := bounding(e.p)
		e.o.Change(e.p)
		if added := bounding(e.p)[len(before):]; len(added) > 0 {
			e.r.warnOfUnknown(&specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: added}})
		}
	}
	if err := validate.Process(e.p); err != nil {
		if e.o.Process != nil && e.o.Embed == nil {
			return fault.In("--process", err)
		}
		return err
	}
	switch {
	case e.p.Terminal && e.o.Detach && e.o.ConsoleSocket == "" && e.o.Embed == nil:
		return errors.New("cannot allocate tty if runc will detach without setting console socket: give --console-socket, or leave the terminal out")
	case e.o.ConsoleSocket != "" && !(e.p.Terminal && e.o.Detach):
		return errors.New("cannot use console socket if runc will not detach or allocate tty: leave --console-socket out, or give --detach and a terminal")
	}
	return nil
}

// phase begins a step.
func (e *execution) phase(name string) { e.r.phase(e.trace, "exec", e.id, name) }

// spawn makes the process, which enters the container's cgroups by e.way.
func (e *execution) spawn() error {
	e.phase("compile")
	in, err := e.input()
	if err != nil {
		return err
	}
	entry, err := e.entry()
	if err != nil {
		return entryDenied(err)
	}
	defer entry.Close()
	in.Tasks = len(entry.Tasks)
	var link *selfexe.Link
	var streams func(*program.Program)
	in.Shield = func(p *program.Builder) (err error) {
		link, err = selfexe.Shield(p)
		streams = e.o.Embed.streams(p)
		return err
	}
	prog, tasks, err := compile.Exec(in)
	if err != nil {
		return err
	}
	for i, fd := range entry.Tasks {
		prog.Set(tasks[i], int64(fd))
	}
	streams(prog)
	unlink, err := link.Open(prog)
	if err != nil {
		return err
	}
	defer unlink()
	e.signals.Ready() // before the process is there: what comes from now on is for it
	e.phase("clone")
	o := &spawn.Options{Cgroup: entry.Cgroup, Trace: e.trace != nil, Fault: testFault}
	if e.reads == nil && bornScored(e.p) {
		e.child, err = e.r.spawnScored(prog, o, e.p)
	} else {
		e.child, err = spawnHidden(prog, o)
	}
	if err != nil {
		return entryDenied(err)
	}
	return e.guard.watch(e.o.Embed, e.child, prog)
}

func (e *execution) input() (*compile.ExecInput, error) {
	e.init = e.c.init(e.pidfd)
	if e.reads != nil {
		return e.namesInput(), nil
	}
	last, held, err := e.r.capabilities(e.p, e.userns())
	if err != nil {
		return nil, err
	}
	e.std = e.o.Embed.std()
	e.work = e.parentWork()
	return &compile.ExecInput{
		Init: e.init, Process: e.p, Linux: e.linux, Wait: len(e.work.at(compile.Born)) > 0,
		Annotated: annotated(e.c.rec.Annotations), OwnKeyring: e.c.rec.OwnKeyring && !seat.Calls().Keyctl, Keyring: e.c.rec.Keyring, Serial: e.c.rec.KeyringSerial, Preserved: process.Preserved(e.o.PreserveFds),
		Host: compile.Host{Denied: seat.Calls(), Ignored: process.IgnoredSignals(), LastCap: last, HeldCaps: held, LSM: askLSM(e.p), Std: e.std},
	}, nil
}

// userns reports whether the container has a user namespace of its own.
func (e *execution) userns() bool { return e.init.Flags&unix.CLONE_NEWUSER != 0 }

// parentWork lists what there is to do for the process, as that of a Plan does for init.
func (e *execution) parentWork() (list workList[*execution]) {
	clones := e.init.Clones() // the second process is moved, while it waits to be followed
	// First, so that the process is in its cgroups whatever follows.
	list.add(e.way.bySystemd, compile.Born, "linux.cgroupsPath", "have systemd move the process", (*execution).toUnit)
	list.add(e.way.outside && !clones, compile.Born, "linux.cgroupsPath", "move the process", (*execution).move)
	// These take capabilities in the initial user namespace, and come before another is joined.
	list.add(e.p.OOMScoreAdj != nil && !bornScored(e.p), compile.Born, "process.oomScoreAdj",
		"set the score for the OOM killer", (*execution).setScore)
	list.add(e.userns(), compile.Born, "process.rlimits", "set the limits", (*execution).setLimits)
	list.add(e.userns() && handsOver(e.p, e.std, nil), compile.Born, "process.user.uid",
		"hand the standard descriptors over to the user", (*execution).ownStdio)
	// Last at the barrier: what waits there is not in the pid namespace yet.
	list.add(e.way.outside && clones, compile.Born, "linux.cgroupsPath", "have the container stand still", (*execution).freeze)
	list.add(e.way.outside && clones, compile.Adopt, "linux.cgroupsPath", "move the process", (*execution).move)
	return list
}

// server serves the process until it has executed its program.
func (e *execution) server() *server {
	s := newServer("the process", e.child, e.c.cg)
	s.handlers = append(e.handlers(), s.executes())
	s.next, s.filtered = e.next, e.linux.Seccomp != nil
	return s
}

// next waits for the next message of the process. Init's end takes the process along when
// it is in init's own pid namespace, and a delete does when it is in cgroups of the
// container; where neither is, others may have stopped it for good.
func (e *execution) next(time.Time) (spawn.Event, error) {
	if e.c.rec.PrivatePid || e.c.hasCgroup() {
		return e.child.Next()
	}
	return e.child.NextWhile(e.pidfd)
}

// handlers returns those of the messages of the process, in the order in which they come.
func (e *execution) handlers() []handler {
	return []handler{
		{tag: compile.Born, doing: "set what the process may not", serve: e.cloned},
		{tag: compile.Joined, doing: "see that init has left none of its namespaces", serve: e.joined},
		e.console.handler(e.o.ConsoleSocket, func() []int { return []int{e.child.Pidfd, e.pidfd} }, e.connect),
		homeHandler(e.child, e.p),
		{tag: user.NamesTag, doing: "look for the names of the user", serve: func(ev spawn.Event) (answer, error) {
			return release, e.reads.take(ev)
		}},
		{tag: compile.Adopt, doing: "prove that it is the runtime's child, follow it, and see that init has left none of its namespaces", serve: e.reparent},
		{tag: compile.Loading, doing: "hand the seccomp listener to the agent", serve: func(ev spawn.Event) (answer, error) {
			return release, sendListener(e.child, ev, e.linux.Seccomp, e.c.rec, Running, e.child.Pidfd, e.pidfd)
		}},
	}
}

// reparent follows the second process, which is in init's pid namespace.
func (e *execution) reparent(ev spawn.Event) (answer, error) {
	if err := e.child.Adopt(ev); err != nil {
		return silence, err
	}
	if err := e.guard.watch(e.o.Embed, e.child, nil); err != nil {
		return silence, err
	}
	if err := stayed(e.c.rec); err != nil {
		return silence, err
	}
	return release, e.work.do(compile.Adopt, e)
}

// joined lets the process go on that has joined init's namespaces and is not cloned there.
func (e *execution) joined(spawn.Event) (answer, error) { return release, stayed(e.c.rec) }

// cloned sets what the process may not.
func (e *execution) cloned(spawn.Event) (answer, error) {
	return release, e.work.do(compile.Born, e)
}

func (e *execution) setScore() error { return e.r.setScore(e.child.Pid, e.p) }

func (e *execution) setLimits() error { return limit.ApplyRlimits(e.child.Pid, e.p) }

// announce hands out the pidfd and the process id; the pid file comes last, since
// engines take it for success.
func (e *execution) announce() error {
	e.phase("announce")
	if e.o.PidfdSocket != "" {
		if err := terminal.SendFd(e.o.PidfdSocket, e.child.Pidfd, "setns", e.pidfd); err != nil {
			return fmt.Errorf("--pidfd-socket: %w", err)
		}
	}
	if e.o.PidFile != "" {
		if err := writePidFile(e.o.PidFile, e.child.Pid); err != nil {
			return fmt.Errorf("--pid-file: %w", err)
		}
	}
	e.trace.End()
	e.r.debug("exec " + e.id + ": process " + strconv.Itoa(e.child.Pid) + " runs")
	if e.trace != nil {
		e.trace.AddChild(e.child.Stamps(), e.child.Pid, 0)
	}
	return nil
}

// kill ends a process whose exec has failed.
func (e *execution) kill() {
	if e.child != nil {
		e.child.Kill()
	}
}

// connect serves the terminal of an attached process.
func (e *execution) connect() error {
	if e.o.Detach {
		return nil
	}
	return e.console.connect()
}

func (e *execution) close() {
	e.guard.end()
	e.console.close(e.signals)
	if e.child != nil {
		e.child.Close()
	}
	if e.pidfd > 0 {
		unix.Close(e.pidfd)
	}
	if e.c != nil {
		e.c.close()
	}
}
