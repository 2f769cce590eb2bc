package life

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/hook"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/proc"
	"github.com/hutch-project/hutch/internal/sys"
	"github.com/hutch-project/hutch/internal/trace"
)

// StartOptions are what start takes beside the id.
type StartOptions struct {
	TraceFile    string // path of a Chrome trace to write; empty is none
	NotifySocket string // the caller's NOTIFY_SOCKET, empty when there is none
}

// Start lets the init of a created container execute its process, and returns
// when it has: the error of an execve that fails is returned.
//
// Source: runtime-spec runtime.md "Start".
func (r *Runtime) Start(id string, opts *StartOptions) (retErr error) {
	defer func() {
		retErr = named("start", id, retErr)
	}()
	if err := trace.Check(opts.TraceFile); err != nil {
		return err
	}
	var tr *trace.Trace
	if opts.TraceFile != "" {
		tr = trace.New()
	}
	phase := func(name string) { r.phase(tr, "start", id, name) }
	phase("load state")
	ctr, err := r.open(id, true)
	if err != nil {
		return err
	}
	defer ctr.close()
	if err := ctr.startable(); err != nil {
		return err
	}
	pidfd, err := ctr.pidfd()
	if err != nil {
		return err
	}
	if pidfd < 0 {
		return ErrStopped
	}
	defer unix.Close(pidfd)
	// Before init is let go: its program may send at once.
	notify, err := r.listen(id, opts.NotifySocket)
	if err != nil {
		return err
	}
	defer notify.close()
	phase("release init")
	if err := ctr.release(pidfd); err != nil {
		return err
	}
	phase("poststart hooks")
	if err := ctr.poststart(); err != nil {
		ctr.abort()
		return err
	}
	phase("relay notifications")
	if err := notify.wait(pidfd, ctr.rec.Pid); err != nil {
		return err
	}
	tr.End()
	r.debug("start " + id + ": process " + strconv.Itoa(ctr.rec.Pid) + " runs")
	r.warnIf(tr.Write(opts.TraceFile)) // the process runs
	return nil
}

// startable returns what keeps the container from being started.
func (c *container) startable() error {
	switch s := c.status(); s {
	case Created:
	case Stopped:
		return ErrStopped
	case Running:
		return ErrRunning
	default: // a paused one need not have been started
		return fmt.Errorf("cannot start a container in the %s state", s)
	}
	if !c.rec.HasProcess {
		return errors.New("config.json: process is absent: there is nothing to start; give process.args")
	}
	return nil
}

// init describes the container's init, held by pidfd, for those who join it.
func (c *container) init(pidfd int) namespace.Init {
	n := namespace.Init{Pid: c.rec.Pid, Pidfd: pidfd, KeepGroups: keepsGroups(c.rec.Annotations)}
	for _, r := range c.rec.Namespaces {
		n.Flags |= namespace.Flag(specs.LinuxNamespaceType(r.Type))
	}
	n.OwnRoot = n.Flags&unix.CLONE_NEWNS == 0
	return n
}

// release lets init go on, to its startContainer hooks and its execve, and waits until that
// has succeeded, which closes init's end of result.fifo, or the report of what went
// wrong comes from there. Hooks that fail end the container.
//
// Once init has been let go the fifos are removed, by which the container counts as
// started, and the lock is given up: what init does then may take for ever.
func (c *container) release(pidfd int) error {
	hooks, err := newStartHooks(c.rec.Hooks.StartContainer, c.hookOutput())
	if err != nil {
		return err
	}
	result, err := c.dir.OpenResult()
	if err != nil {
		return err
	}
	defer unix.Close(result)
	err = c.goOn(pidfd)
	if errors.Is(err, unix.ENXIO) { // nobody reads: init has gone
		return ErrStopped
	}
	if err != nil {
		return err
	}
	if err := c.dir.RemoveFifos(); err != nil {
		return err
	}
	c.dir.Unlock()
	r := &reports{fd: result, pidfd: pidfd, failed: c.reported}
	s := newServer("init", nil, c.cg)
	s.next, s.ended = r.next, func() error { return nil }
	if err := hooks.follow(s); err != nil {
		c.abort()
		return err
	}
	if r.failure != nil {
		return explainMemory(r.failure)
	}
	if !s.executing || proc.EndedBeforeExec(c.rec.Pid, c.rec.PidStart) {
		return startDeath(c.cg)
	}
	return nil
}

// goOn lets init go on, with the state for its hooks when it has any.
func (c *container) goOn(pidfd int) error {
	if len(c.rec.Hooks.StartContainer) == 0 {
		return c.dir.Go()
	}
	text, err := insideState(c.rec, Created)
	if err != nil {
		return err
	}
	return c.dir.GoWith(text, compile.HookFrame, pidfd)
}

// startDeath returns the error of an init that was ended between its release and the
// program that it was to execute.
func startDeath(cg cgroup.Manager) error {
	if err := oomKilled(cg, "init", "in its execve"); err != nil {
		return err
	}
	return fmt.Errorf("process.args[0]: init ended before it had executed it: %w", ErrStopped)
}

// poststart runs the poststart hooks, with the container unlocked. A container that
// has ended meanwhile is no reason to end a hook; one that is deleted is.
//
// Source: runtime-spec runtime.md "Lifecycle", step 9.
func (c *container) poststart() error {
	deleted := func() bool { return !c.dir.Current() }
	o := hook.Options{Dir: c.rec.Bundle, Env: c.r.HookEnv, Deleted: deleted, Ignored: process.IgnoredSignals(), Output: c.hookOutput()}
	return hook.Run(c.rec.Hooks.Poststart, "poststart", c.hookState(Running), o)
}

// abort destroys a container whose start has failed, and the poststop hooks run: once,
// also when somebody else deletes it at the same time.
//
// Source: runtime-spec runtime.md "Lifecycle", steps 8, 9, 12 and 13.
func (c *container) abort() {
	if err := c.deleteForce(); !errors.Is(err, ErrNotExist) {
		c.r.warnIf(err)
	}
}

// poststop runs the poststop hooks; their failures are warned of.
//
// Source: runtime-spec runtime.md "Lifecycle", step 13.
func (c *container) poststop() {
	o := hook.Options{Dir: c.rec.Bundle, Env: c.r.HookEnv, Ignored: process.IgnoredSignals(), Output: c.hookOutput()}
	for _, w := range hook.RunAll(c.rec.Hooks.Poststop, "poststop", c.hookState(Stopped), o) {
		c.r.warn(w + ", ignoring")
	}
}

// ended waits, no longer than until, for the end of the process of pidfd.
func ended(pidfd int, until time.Time) (bool, error) {
	n, err := sys.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, until)
	return n == 1, err
}
