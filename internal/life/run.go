package life

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/terminal"
	"github.com/hutch-project/hutch/internal/proc"
	"github.com/hutch-project/hutch/internal/program/spawn"
)

// Run creates a container, starts it, waits for the end of its process and
// deletes it. It returns the process's exit status, 128+n when signal n ended it.
// With o.Detach it returns when the process runs, with o.Keep it does not delete.
func (r *Runtime) Run(opts *CreateOptions) (status int, retErr error) {
	if err := subreaper(opts); err != nil {
		return -1, named("run", opts.ID, err)
	}
	m, err := r.newMaker(opts, false, byProgram)
	if err != nil {
		return -1, err
	}
	defer m.close()
	if err := m.create(); err != nil {
		return -1, err
	}
	status, err = m.runToEnd(opts)
	return status, named("run", opts.ID, err)
}

// runToEnd starts the container that has been made, waits for its end, and deletes it.
func (m *maker) runToEnd(opts *CreateOptions) (status int, err error) {
	err = m.run([]step{
		// Before init goes on: the program may say at once that it is ready.
		{"", m.listen},
		// Before init goes on, which writes to it; and signals resize the terminal.
		{"", m.connect},
		// What comes may take for ever, and others may kill and delete meanwhile.
		{"", m.unlock},
		{"", m.start},
	})
	if err != nil {
		return -1, err
	}
	return m.attend(opts)
}

// subreaper makes this process the parent of processes that lose theirs, so that those of a
// container without a pid namespace do not stay as zombies elsewhere.
func subreaper(o *CreateOptions) error {
	if o.NoReaper {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_SET_CHILD_SUBREAPER: %w", err)
	}
	return nil
}

// attend waits for the end of a container that runs, and deletes it.
func (m *maker) attend(opts *CreateOptions) (status int, err error) {
	m.undo = nil                              // from here on it is a container as any other
	m.r.warnIf(m.trace.Write(opts.TraceFile)) // the process runs, and is waited for
	ready := func() error { return m.ready.pass(m.child.Pidfd, m.child.Pid) }
	switch {
	case m.restored:
		ready = func() error { return m.ready.tell(m.child.Pid) }
	case opts.Detach:
		ready = func() error { return m.ready.wait(m.child.Pidfd, m.child.Pid) }
	}
	if opts.Detach {
		m.r.warnIf(ready()) // the process runs, whoever hears of it
		return 0, nil
	}
	if m.ready != nil {
		go func() { m.r.warnIf(ready()) }()
	}
	status, err = await(m.child, m.signals)
	m.console.proxy.Finish()
	if err != nil {
		return -1, err
	}
	if opts.Keep {
		return status, nil
	}
	if err := m.dir.Lock(lockWait); errors.Is(err, ErrNotExist) {
		return status, nil // somebody has deleted it
	} else if err != nil {
		return -1, err
	}
	return status, m.c.destroy()
}

// listen makes the container's notification socket.
func (m *maker) listen() (undo func(), err error) {
	m.ready, err = m.r.listen(m.ID, m.NotifySocket)
	return nil, err
}

// connect connects the caller's terminal with that of the container.
func (m *maker) connect() (undo func(), err error) {
	if err := m.console.connect(); err != nil {
		return nil, err
	}
	m.signals.Ready()
	return nil, nil
}

// unlock gives up the container's lock. It is undone before all else, where it can be, so
// that nobody else takes the container back at the same time.
func (m *maker) unlock() (undo func(), err error) {
	m.dir.Unlock()
	return func() {
		if err := m.dir.Lock(lockWait); !errors.Is(err, ErrNotExist) {
			m.r.warnIf(err)
		}
	}, nil
}

// start lets init go on, to its startContainer hooks and its execve, and waits until
// that has succeeded.
func (m *maker) start() (undo func(), err error) {
	m.trace.Phase("start")
	if m.bundle.spec.Process == nil {
		return nil, errors.New("config.json: process is absent: there is nothing to start; give process.args")
	}
	s := m.server()
	if err := s.release(); err != nil {
		return nil, err
	}
	hooks, err := m.beginHooks()
	if err != nil {
		return nil, err
	}
	if err := hooks.follow(s); err != nil {
		return nil, explainMemory(m.c.explainExec(err))
	}
	// A death closes the socket as execve does.
	if rec := m.c.rec; proc.EndedBeforeExec(rec.Pid, rec.PidStart) {
		return nil, startDeath(m.c.cg)
	}
	return nil, m.c.poststart()
}

// await waits for the end of the child, passing signals on, and returns its exit
// status, 128+n when signal n ended it.
func await(child *spawn.Child, signals *terminal.Forwarder) (int, error) {
	if err := signals.Wait(child.Pidfd); err != nil {
		return -1, err
	}
	ws, err := child.Wait()
	if err != nil {
		return -1, err
	}
	if ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return ws.ExitStatus(), nil
}
