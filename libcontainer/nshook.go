package libcontainer

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hutch/libcontainer/process"
	"hutch/libcontainer/program"
	"hutch/libcontainer/selfexe"
)

// Tags of the program of a hook that runs in the container's namespaces.
const (
	hookAdopt     = 1
	hookExecuting = 2
)

// inNamespaces starts createContainer and startContainer hooks: as root of the
// container's namespaces, in the root directory that its init has at the time,
// in a process group of its own.
type inNamespaces struct {
	pid, pidfd int    // init
	flags      uint64 // CLONE_NEW flags of the namespaces that are not the runtime's
	cwd        string // below init's root directory
	ignored    []unix.Signal
}

// start makes the process of h. The caller owns the pidfd and reaps the process.
func (n *inNamespaces) start(h specs.Hook, stdin, stdout *os.File) (pidfd, pid int, err error) {
	p, link, err := n.compile(h, int(stdin.Fd()), int(stdout.Fd()))
	if err != nil {
		return -1, 0, err
	}
	done, err := link.Open(p)
	if err != nil {
		return -1, 0, err
	}
	defer done()
	// As for init: nothing in the container looks into the process before its
	// execve.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return -1, 0, fmt.Errorf("prctl PR_SET_DUMPABLE 0: %w", err)
	}
	c, err := program.Spawn(p, &program.Options{Cgroup: -1})
	if err != nil {
		return -1, 0, err
	}
	defer c.Close()
	for {
		e, err := c.Next()
		switch {
		case errors.Is(err, program.ErrEnded):
			return c.TakePidfd(), c.Pid, nil
		case err != nil:
			c.Kill()
			return -1, 0, err
		case e.Tag == hookAdopt:
			err := c.Adopt(int(e.Value))
			if err == nil {
				err = c.Release()
			}
			if err != nil {
				c.Kill()
				return -1, 0, err
			}
		}
	}
}

func (n *inNamespaces) compile(h specs.Hook, stdin, stdout int) (*program.Program, *selfexe.Link, error) {
	b := program.New()
	link, err := selfexe.Shield(b)
	if err != nil {
		return nil, nil, err
	}
	b.Doing(program.T("join the container for the hook"))
	var root program.Reg
	b.InParent(func() {
		b.Step(program.T("open the root directory of init"))
		root = b.Sys(unix.SYS_OPENAT, program.Imm(unix.AT_FDCWD), b.Str("/proc/"+strconv.Itoa(n.pid)+"/root"),
			program.Imm(unix.O_PATH|unix.O_CLOEXEC)).Fd()
	})
	b.Step(program.T("setns"))
	if n.flags != 0 {
		b.Sys(unix.SYS_SETNS, program.Imm(n.pidfd), program.Imm(n.flags))
	}
	// Joining the mount namespace leads to the top of its tree, which is not
	// init's root before the pivot nor without one.
	b.Step(program.T("fchdir"))
	b.Sys(unix.SYS_FCHDIR, program.Val(root))
	b.Step(program.T("chroot"))
	b.Sys(unix.SYS_CHROOT, b.Str("."))
	b.Step(program.T("chdir to %s", n.cwd))
	b.Sys(unix.SYS_CHDIR, b.Str(n.cwd))
	if n.flags&unix.CLONE_NEWUSER != 0 {
		b.Step(program.T("become root"))
		b.Sys(unix.SYS_SETRESGID, program.Imm(0), program.Imm(0), program.Imm(0)).Ignore()
		b.Sys(unix.SYS_SETRESUID, program.Imm(0), program.Imm(0), program.Imm(0)).Ignore()
	}
	if n.flags&unix.CLONE_NEWPID != 0 {
		b.Step(program.T("clone into the pid namespace"))
		m := b.Zero(64)
		b.Set(m.Reg(0), unix.CLONE_PARENT)
		r, child := b.Reg(), b.Label()
		b.Sys(unix.SYS_CLONE3, m.Arg(), program.Imm(m.Len)).To(r)
		b.If(r, program.Eq, 0, child)
		b.Tell(hookAdopt, r)
		b.Exit(0)
		b.Bind(child)
		b.Wait(hookAdopt, b.Zero(1))
	}
	b.Step(program.T("make a process group"))
	b.Sys(unix.SYS_SETPGID, program.Imm(0), program.Imm(0))
	b.Step(program.T("set up standard input and output"))
	b.Sys(unix.SYS_DUP3, program.Imm(stdin), program.Imm(0), program.Imm(0))
	b.Sys(unix.SYS_DUP3, program.Imm(stdout), program.Imm(1), program.Imm(0))
	b.Sys(unix.SYS_DUP3, program.Imm(stdout), program.Imm(2), program.Imm(0))
	process.Descriptors(b, 0)
	process.Signals(b, n.ignored)
	process.Unblock(b)
	b.Tell(hookExecuting, 0)
	b.Doing(program.Text{})
	b.Step(program.T("execute %s", h.Path))
	args := h.Args
	if len(args) == 0 {
		args = []string{h.Path}
	}
	b.Sys(unix.SYS_EXECVE, b.Str(h.Path), b.Strv(args).Arg(), b.Strv(h.Env).Arg())
	p, err := b.Program()
	return p, link, err
}
