package life

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/part/terminal"
	"github.com/hutch-project/hutch/internal/proc"
	"github.com/hutch-project/hutch/internal/program/spawn"
)

// Run creates a container, starts it, waits for the end of its process and
// deletes it. It returns the process's exit status, 128+n when signal n ended it.
// With o.Detach it returns when the process runs, with o.Keep it does not delete.
func (r *Runtime) Run(o *CreateOptions) (status int, retErr error) {
	if !o.NoReaper {
		// Processes that lose their parent come to this one, so that those of a
		// container without a pid namespace do not stay as zombies elsewhere.
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return -1, fmt.Errorf("run %s: prctl PR_SET_CHILD_SUBREAPER: %w", o.ID, err)
		}
	}
	b, err := r.build(o, false)
	if err != nil {
		return -1, err
	}
	defer b.close()
	defer func() {
		if retErr != nil {
			retErr = fmt.Errorf("run %s: %w", o.ID, retErr)
		}
	}()
	ready, err := r.listen(o.ID, o.NotifySocket)
	if err != nil {
		return -1, b.abandon(err)
	}
	defer ready.close()
	proxy, err := b.proxy()
	if err != nil {
		return -1, b.abandon(err)
	}
	defer proxy.Stop()
	b.signals.Ready()
	b.dir.Unlock() // what comes may take for ever, and others may kill and delete meanwhile
	if err := b.release(); err != nil {
		return -1, b.abandon(err)
	}
	b.undo = nil
	if err := b.trace.Write(o.TraceFile); err != nil {
		return -1, err
	}
	if o.Detach {
		return 0, ready.pass(b.child.Pidfd, b.child.Pid)
	}
	if ready != nil {
		go func() { b.warnIf(ready.pass(b.child.Pidfd, b.child.Pid)) }()
	}
	status, err = await(b.child, b.signals)
	proxy.Finish()
	if err != nil {
		return -1, err
	}
	if o.Keep {
		return status, nil
	}
	if err := b.dir.Lock(lockWait); errors.Is(err, ErrNotExist) {
		return status, nil // somebody has deleted it
	} else if err != nil {
		return -1, err
	}
	return status, b.container().destroy()
}

func (b *build) container() *container {
	return &container{r: b.r, dir: b.dir, rec: b.rec, cg: b.cg.Manager()}
}

// abandon takes back a container whose start failed. It is locked where it can be, so
// that nobody else takes it back at the same time.
func (b *build) abandon(err error) error {
	if err := b.dir.Lock(lockWait); !errors.Is(err, ErrNotExist) {
		b.warnIf(err)
	}
	b.takeBack()
	return err
}

// proxy connects the caller's terminal with that of the container.
func (b *build) proxy() (*terminal.Proxy, error) {
	if b.console == nil {
		return nil, nil
	}
	return terminal.StartProxy(b.console)
}

// release lets init go on, to its startContainer hooks and its execve, and waits until
// that has succeeded.
func (b *build) release() error {
	b.trace.Phase("start")
	if b.spec.Process == nil {
		return errors.New("config.json: process is absent: there is nothing to start; give process.args")
	}
	if err := b.child.Release(); err != nil {
		return err
	}
	hooks, err := b.beginHooks()
	if err != nil {
		return err
	}
	executing := false
	for {
		e, err := hooks.next(b.child)
		if errors.Is(err, spawn.ErrEnded) {
			if !executing {
				return endedEarly(b.child, b.cg.Manager(), "init")
			}
			break
		}
		if err != nil {
			return explainMemory(err)
		}
		executing = executing || e.Tag == compile.Executing
	}
	if proc.EndedBeforeExec(b.rec.Pid, b.rec.PidStart) {
		return startDeath(b.cg.Manager())
	}
	return b.container().poststart()
}

// await waits for the end of the child, passing signals on, and gives its exit
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
