package life

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/config"
	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/spawn"
)

// Embedder is what a program that lives on beside its containers wants otherwise than a
// command, which ends with what it has made. A nil Embedder is a command's.
//
// With one a terminal needs no console socket: Take gets its master.
type Embedder struct {
	// Config is the text of config.json, in place of the bundle's file; nil reads that.
	Config []byte
	// Streams are the descriptors that become 0, 1 and 2 of the process. None is 0, 1 or 2,
	// and all are close-on-exec.
	Streams [3]int
	// Context kills the process when it ends before Create, or Exec, has returned.
	Context context.Context
	// Take is called with a process that is made. The pidfd, and the terminal's master, nil
	// where there is none, become the receiver's, who also has to wait for the process.
	Take func(pid, pidfd int, terminal *os.File)
}

// load reads the configuration, and returns its text too.
func (e *Embedder) load(bundle string) (*specs.Spec, []byte, error) {
	if e == nil || e.Config == nil {
		return config.Load(bundle, "")
	}
	s, err := config.Decode(e.Config)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", config.FileName, err)
	}
	return s, e.Config, nil
}

// std describes the descriptors that become 0, 1 and 2 of the process.
func (e *Embedder) std() [3]process.StdFile { return process.StreamFiles(e.fds()) }

// fds returns these descriptors.
func (e *Embedder) fds() [3]int {
	if e == nil {
		return [3]int{0, 1, 2}
	}
	return e.Streams
}

// streams emits what puts the descriptors there; set gives the registers their values.
func (e *Embedder) streams(b *program.Builder) (set func(*program.Program)) {
	if e == nil {
		return func(*program.Program) {}
	}
	regs := process.Streams(b)
	return func(p *program.Program) {
		for i, r := range regs {
			p.Set(r, int64(e.Streams[i]))
		}
	}
}

// take hands a process over.
func (e *Embedder) take(child *spawn.Child, terminal **os.File) {
	if e == nil {
		return
	}
	e.Take(child.Pid, child.TakePidfd(), *terminal)
	*terminal = nil
}

// cloneGrace is how long a process that clones a second one has to come to that after the
// context has ended. Killed between the clone and its message it would leave a child of
// this process that nobody knows of. It takes a millisecond; what hangs, in a hook or in a
// frozen cgroup, is not there.
const cloneGrace = time.Second

// guard kills a process when the Embedder's context ends.
type guard struct {
	release func() // nil where there is nothing to guard
}

// watch begins to guard the child's process, and no other from then on. p is the program
// that the process begins with, nil for one that it has cloned.
func (g *guard) watch(embedder *Embedder, child *spawn.Child, p *program.Program) error {
	g.end()
	if embedder == nil || embedder.Context.Done() == nil {
		return nil
	}
	// A descriptor of its own: the child's is closed when it is of no use any more.
	own, err := unix.FcntlInt(uintptr(child.Pidfd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("fcntl F_DUPFD_CLOEXEC: %w", err)
	}
	clones := p != nil && len(p.Forks()) > 0
	over, ended := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(embedder.Context, func() {
		defer close(ended)
		if clones {
			grace := time.NewTimer(cloneGrace)
			defer grace.Stop()
			select {
			case <-over:
				return
			case <-grace.C:
			}
		}
		_ = unix.PidfdSendSignal(own, unix.SIGKILL, nil, 0)
	})
	g.release = func() {
		close(over)
		if !stop() {
			<-ended
		}
		unix.Close(own)
	}
	return nil
}

// end ends the guarding.
func (g *guard) end() {
	if g.release != nil {
		g.release()
		g.release = nil
	}
}

// Pidfd returns a pidfd of the init of the container id. The pidfd, which is the caller's, is
// -1 when init has ended.
func (r *Runtime) Pidfd(id string) (pid, pidfd int, err error) {
	c, err := r.open(id, false)
	if err != nil {
		return 0, -1, named("state", id, err)
	}
	defer c.close()
	pidfd, err = c.pidfd()
	return c.rec.Pid, pidfd, named("state", id, err)
}

// EventsUntil is Events that ends, without an error, when the context does.
func (r *Runtime) EventsUntil(ctx context.Context, id string, interval time.Duration, w io.Writer) error {
	if ctx.Done() == nil {
		return r.Events(id, interval, w)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return named("events", id, fmt.Errorf("eventfd: %w", err))
	}
	defer unix.Close(wake)
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		_, _ = unix.Write(wake, []byte{1, 1, 1, 1, 1, 1, 1, 1})
	})
	defer func() {
		if !stop() {
			<-ended // it uses the descriptor
		}
	}()
	return r.events(id, interval, w, wake)
}
