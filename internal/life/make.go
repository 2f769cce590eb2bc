package life

import (
	"path/filepath"

	"github.com/hutch-project/hutch/internal/host/selfexe"
	"github.com/hutch-project/hutch/internal/host/state"
	"github.com/hutch-project/hutch/internal/part/terminal"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/internal/trace"
)

// maker makes a container, a step after the other. What is decided is in the plan; here is
// what has been done so far, and what only this process holds.
type maker struct {
	request
	r    *Runtime
	init initializer // how init comes to be
	// operation is what the caller has asked for, as errors name it: create or run.
	operation string
	restored  bool // init comes out of a checkpoint

	forker *spawn.Forker // makes the network namespace meanwhile; may be nil
	host   *host         // after "plan"
	plan   *Plan
	dir    *state.Dir // after "record"
	c      *container
	child  *spawn.Child // after "clone"
	hidden bool         // it is not dumpable from its birth
	scoped bool         // systemd has been asked for the unit

	link    *selfexe.Link // nil where the executable needs none
	console console       // of an attached run
	signals *terminal.Forwarder
	guard   guard
	streams func(*program.Program) // see Embedder.streams
	ready   *relay
	trace   *trace.Trace

	undo []func() // of the steps that were done, in their order
}

// step is one thing that is done for a container. undo takes back what it has done: also
// what a step that fails has done until then. It is nil where there is nothing.
type step struct {
	name string // of a phase in traces and of debug messages; empty for a part of one
	do   func() (undo func(), err error)
}

// initializer is how init comes to be: the steps from a container that is planned and
// recorded, and whose cgroups are there, to an init that waits to be let go, m.child.
// byProgram is that of create and run. What brings an init about in another way, as from
// a checkpoint, is another one, and all else of the maker is as it is.
type initializer func(m *maker) []step

// newMaker prepares a maker for what o asks for; fifo has init wait on the fifo in the end.
func (r *Runtime) newMaker(opts *CreateOptions, fifo bool, init initializer) (_ *maker, err error) {
	own := *opts
	mk := &maker{r: r, init: init, operation: "run"}
	if fifo {
		mk.operation = "create"
	}
	if own.PreserveFds, err = preserved(opts.PreserveFds, opts.ListenFds); err != nil {
		return nil, named(mk.operation, opts.ID, err)
	}
	// While nothing is there: a file that cannot be written is the caller's mistake.
	if err := trace.Check(opts.TraceFile); err != nil {
		return nil, named(mk.operation, opts.ID, err)
	}
	mk.request = request{CreateOptions: &own, manager: r.CgroupManager, stateDir: r.stateDir(opts.ID), fifo: fifo}
	if opts.TraceFile != "" || testPhase != nil {
		mk.trace = trace.New()
		mk.trace.OnPhase = testPhase
	}
	return mk, nil
}

// testPhase is called at each phase of a create, a checkpoint or a restore: for tests that
// end the process there.
var testPhase func(name string)

// steps returns the life of a container up to an init that waits for start, in its order.
func (m *maker) steps() []step {
	steps := []step{
		// Before anything is there that a signal would leave behind.
		{"catch signals", m.catch},
		// At its end begins what takes the kernel long, beside all that follows.
		{"load config.json", m.load},
		// Before the first effect: what cannot be is refused while there is nothing to undo.
		{"plan", m.decide},
		// Before all that it names, so that delete finds what was made until a crash.
		{"record", m.record},
		// Before init, which is born in them, and its program, which may show them.
		{"make cgroups", m.makeCgroup},
		// Before init, which is moved there at its birth.
		{"make the resctrl group", m.makeRdt},
	}
	steps = append(steps, m.init(m)...)
	// Last: engines take what it writes for success.
	return append(steps, step{"announce", m.announce})
}

// create does all steps. Its failure leaves nothing.
func (m *maker) create() error {
	if err := m.run(m.steps()); err != nil {
		return named(m.operation, m.ID, m.explainPaths(explainMount(explainGroups(explainInFlight(explainMemory(m.c.explainAccess(err)))))))
	}
	m.trace.End()
	return nil
}

// run does steps. When one fails, all that was done by this and former calls is taken back.
// Every step of every life comes by here: a caller who may give up is asked here, between
// two steps, and has the child killed while a step waits for it.
func (m *maker) run(steps []step) error {
	for i := range steps {
		s := &steps[i]
		if s.name != "" {
			m.r.phase(m.trace, m.operation, m.ID, s.name)
		}
		undo, err := s.do()
		if undo != nil {
			m.undo = append(m.undo, undo)
		}
		if err != nil {
			m.takeBack()
			return err
		}
	}
	return nil
}

// takeBack undoes what was done, the last first. When the container was deleted
// meanwhile, and there is a new one of the same id, what is left is that one's, except
// for init.
func (m *maker) takeBack() {
	for i := len(m.undo) - 1; i >= 0; i-- {
		if m.dir != nil && m.dir.Replaced() {
			m.killInit()
			break
		}
		m.undo[i]()
	}
	m.undo = nil
}

// close lets go of what only this process holds.
func (m *maker) close() {
	m.guard.end()
	m.console.close(m.signals) // first: the caller's terminal is as before whatever follows
	m.ready.close()
	if m.child != nil {
		m.child.Close()
	}
	if m.dir != nil {
		m.dir.Close()
	}
	m.forker.Close()
	m.host.close()
}

// stateDir returns the path of the state directory of the container id.
func (r *Runtime) stateDir(id string) string { return filepath.Join(r.Root, id) }

// warnIf warns of an error that changes nothing any more.
func (r *Runtime) warnIf(err error) {
	if err != nil {
		r.warn(err.Error() + ", ignoring")
	}
}

func (r *Runtime) warn(text string) {
	if r.Warn != nil {
		r.Warn(text)
	}
}

func (r *Runtime) note(text string) {
	if r.Note != nil {
		r.Note(text)
	}
}

// phase begins a step of an operation on the container id, for the trace and the log.
func (r *Runtime) phase(t *trace.Trace, operation, id, name string) {
	t.Phase(name)
	r.debug(operation + " " + id + ": " + name)
}

func (r *Runtime) debug(text string) {
	if r.Debug != nil {
		r.Debug(text)
	}
}
