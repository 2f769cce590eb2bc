package libcontainer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/life"
)

// ExecOptions describe a further process of a container.
type ExecOptions struct {
	// Args is the command, for a process that is like the container's own in all else: the
	// user, the environment, the working directory, the capabilities. It has no terminal.
	Args []string
	// Process is the process, in place of Args. What it leaves out of rlimits, capabilities,
	// noNewPrivileges, labels, scheduler, ioPriority, execCPUAffinity and oomScoreAdj is the
	// container's own. It is read while Exec runs, and neither changed nor kept.
	Process *specs.Process

	// Streams are the standard descriptors of the process.
	Streams

	// IgnorePaused is for a paused container, where the process waits until it is resumed,
	// and Exec with it.
	IgnorePaused bool
	// Cgroups are sub-cgroups of the container to make the process in, each as PATH or as
	// CONTROLLER,…:PATH of cgroup v1.
	Cgroups []string
}

// errNoArgs is a mistake of the caller.
var errNoArgs = errors.New("ExecOptions has neither Args nor a Process")

// Exec runs a further process in the container, and returns when its program is executed.
//
// The process is the caller's to wait for, or not: it does not stay a zombie. It ends with
// the container when that has a pid namespace or a cgroup. A failed Exec leaves nothing.
// When ctx ends before Exec returns, the process is killed, and the error wraps that of
// ctx; in a paused container of cgroup v1, where nothing can be killed, after it is resumed.
func (c *Container) Exec(ctx context.Context, o *ExecOptions) (*Process, error) {
	var p *Process
	err := c.r.do("exec", c.id, func(l *life.Runtime) (err error) {
		p, err = c.exec(ctx, l, o)
		return err
	})
	return p, err
}

func (c *Container) exec(ctx context.Context, inner *life.Runtime, opts *ExecOptions) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("exec %s: %w", c.id, err)
	}
	lo := &life.ExecOptions{Detach: true, IgnorePaused: opts.IgnorePaused, Cgroups: opts.Cgroups}
	switch {
	case opts.Process != nil:
		own := *opts.Process // members are added, none is changed
		lo.Process = &own
	case len(opts.Args) > 0:
		lo.Change = func(p *specs.Process) { p.Args, p.Terminal = opts.Args, false }
	default:
		return nil, fmt.Errorf("exec %s: %w", c.id, errNoArgs)
	}
	e, std, err := embed(ctx, &opts.Streams)
	if err != nil {
		return nil, fmt.Errorf("exec %s: %w", c.id, err)
	}
	var p *Process
	e.Take = func(pid, pidfd int, terminal *os.File) {
		p = newProcess(pid, pidfd, terminal, std, opts.WaitDelay)
	}
	lo.Embed = e
	_, err = inner.Exec(c.id, lo)
	std.closeFds()
	if err != nil {
		std.abandon()
		return nil, because(ctx, err)
	}
	if ctx.Err() != nil {
		_ = p.Signal(syscall.SIGKILL)
		<-p.ended
		return nil, fmt.Errorf("exec %s: %w", c.id, ctx.Err())
	}
	return p, nil
}
