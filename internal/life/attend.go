package life

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/config"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/hook"
	"github.com/hutch-project/hutch/internal/host/idmap"
	"github.com/hutch-project/hutch/internal/host/netdev"
	"github.com/hutch-project/hutch/internal/part/keyring"
	"github.com/hutch-project/hutch/internal/part/limit"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/part/terminal"
	"github.com/hutch-project/hutch/internal/part/user"
	"github.com/hutch-project/hutch/internal/proc"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/seat"
)

const quotaWarning = "the session keyring quota of the user is used up (kernel.keys.maxkeys, maxbytes): the container keeps the caller's keyring, ignoring"

// attend answers init at its barriers until it is ready for start.
func (b *build) attend() error {
	for {
		e, err := b.child.Next()
		if errors.Is(err, program.ErrEnded) {
			return endedEarly(b.child, b.cg.Manager(), "init")
		}
		if err != nil {
			return err
		}
		b.trace.Phase("message of init")
		ready, err := b.answer(e)
		if errors.Is(err, program.ErrEnded) {
			return endedEarly(b.child, b.cg.Manager(), "init")
		}
		if ready || err != nil {
			return b.child.Cause(err)
		}
	}
}

// excerpt puts into the record what later commands need of config.json.
func (b *build) excerpt() {
	b.rec.AfterStart = b.afterStart()
	b.rec.Process, b.rec.Resources = string(config.Excerpt(b.text, compile.LinuxOfProcess())), string(config.ResourcesExcerpt(b.text))
}

// endedEarly says why a child is gone without a report.
func endedEarly(child *program.Child, cg cgroup.Manager, name string) error {
	child.HangUp() // one that lives all the same, and waits, ends
	ws, err := child.Wait()
	if err != nil {
		return err
	}
	if ws.Signal() == unix.SIGKILL {
		if err := oomKilled(cg, name, "while it was set up"); err != nil {
			return err
		}
	}
	if ws.Signaled() {
		return fmt.Errorf("%s was killed by signal %d (%s) while it was set up", name, ws.Signal(), unix.SignalName(ws.Signal()))
	}
	return fmt.Errorf("%s ended with status %d while it was set up", name, ws.ExitStatus())
}

// oomKilled says that the OOM killer was it that killed a process, nil when it was
// not.
func oomKilled(cg cgroup.Manager, name, when string) error {
	n, err := cg.OOMKills()
	if n > 0 {
		return fmt.Errorf("the OOM killer ended %s %s: linux.resources.memory.limit is too low; raise it", name, when)
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) {
		// systemd has removed the cgroup that would tell.
		return fmt.Errorf("%s was killed %s, by the OOM killer unless by somebody: is linux.resources.memory.limit too low?", name, when)
	}
	return nil
}

// answer does what one message of init asks for. ready says that init has done
// all there is before start.
func (b *build) answer(e program.Event) (ready bool, err error) {
	switch {
	case e.Tag == compile.Adopt:
		err = b.adopt(e)
	case e.Tag == compile.Born:
		b.trace.Phase("born")
		if err = b.keepKeyring(e.Value); err == nil {
			err = b.born()
		}
		if err == nil && b.unattended() {
			return false, nil
		}
	case e.Tag == compile.TimeOffsets:
		err = writeTimeOffsets(b.child.Pid, b.spec.Linux.TimeOffsets)
	case e.Tag == compile.Hooks:
		b.trace.Phase("hooks")
		err = b.hooks()
	case e.Tag == terminal.ConsoleTag:
		b.console, err = takeTerminal(e.Fd, b.o.ConsoleSocket, b.child.Pidfd)
	case e.Tag == user.HomeTag:
		return false, b.home.answer(b.child, e, b.spec.Process.User.UID)
	case e.Tag == keyring.MadeTag:
		return false, b.keepKeyring(e.Value)
	case e.Tag == keyring.QuotaTag:
		b.r.warn(quotaWarning)
		return false, nil
	case e.Tag >= rootfs.TargetTag:
		more, err := b.out.Root.Handle(b.child, e)
		if more || err != nil {
			return false, err
		}
	case e.Tag == compile.Loading:
		return true, sendListener(b.child, e, b.spec.Linux.Seccomp, b.rec, Creating, b.child.Pidfd)
	case e.Tag == compile.Ready:
		return true, nil
	default:
		return false, fmt.Errorf("program: init told the unknown tag %d", e.Tag)
	}
	if err != nil {
		return false, err
	}
	return false, b.child.Release()
}

// born does for the process what only the runtime may do.
func (b *build) born() error {
	if b.rdt != nil {
		if err := b.rdt.Join(b.child.Pid); err != nil {
			return err
		}
	}
	if b.scope != nil {
		if err := b.startScope(); err != nil {
			return err
		}
	}
	if err := b.cg.Born(b.limit); err != nil {
		return err
	}
	l := b.spec.Linux
	if l == nil {
		return nil
	}
	if b.out.Namespaces.Made(unix.CLONE_NEWUSER) {
		if err := idmap.WriteMaps(b.child.Pid, l.UIDMappings, l.GIDMappings, seat.User()); err != nil {
			return fmt.Errorf("linux.uidMappings: %w", err)
		}
	}
	if p := b.spec.Process; p != nil && b.out.Namespaces.Own(unix.CLONE_NEWUSER) {
		if err := limit.ApplyRlimits(b.child.Pid, p); err != nil {
			return err
		}
	}
	if p := b.spec.Process; p != nil && (b.out.Namespaces.Own(unix.CLONE_NEWUSER) || seat.Nested()) {
		if err := b.r.scoreAdj(b.child.Pid, p); err != nil {
			return err
		}
	}
	if len(l.NetDevices) > 0 {
		return b.netDevices()
	}
	return nil
}

// scoreAdj sets process.oomScoreAdj. The kernel lets only root of the host lower it: a
// process of others keeps what it has.
func (r *Runtime) scoreAdj(pid int, p *specs.Process) error {
	err := limit.ApplyOOMScoreAdj(pid, p)
	if (errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)) && !seat.HostRoot() {
		r.warn(err.Error() + ": only root of the host may lower it, ignoring")
		return nil
	}
	return err
}

// netDevices moves linux.netDevices into the container's network namespace.
func (b *build) netDevices() error {
	ns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/net", b.child.Pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("linux.netDevices: open the network namespace of init: %w", err)
	}
	defer unix.Close(ns)
	return netdev.Move(b.spec.Linux.NetDevices, ns)
}

// hooks runs prestart and createRuntime in the runtime's namespaces and
// createContainer in the container's.
//
// Source: runtime-spec config.md "POSIX-platform Hooks".
func (b *build) hooks() error {
	h := b.spec.Hooks
	state := b.hookState(Creating)
	o := hook.Options{Dir: b.o.Bundle, Env: b.r.HookEnv, Init: &b.child.Pidfd, Ignored: process.IgnoredSignals()}
	if err := hook.Run(h.Prestart, "prestart", state, o); err != nil { //nolint:staticcheck // deprecated, and still used
		return err
	}
	if err := hook.Run(h.CreateRuntime, "createRuntime", state, o); err != nil {
		return err
	}
	o.Start = b.inNamespaces().start
	return hook.Run(h.CreateContainer, "createContainer", state, o)
}

func (b *build) inNamespaces() *inNamespaces {
	return &inNamespaces{
		init:    namespace.Init{Pid: b.child.Pid, Pidfd: b.child.Pidfd, Flags: b.out.Namespaces.Flags(), OwnRoot: true, InitCwd: true},
		ignored: process.IgnoredSignals(), env: b.r.HookEnv,
	}
}

// adopt follows the process that the program has cloned into the container's pid
// namespace, and records it.
func (b *build) adopt(e program.Event) error {
	if err := b.child.Adopt(e); err != nil {
		return err
	}
	return b.recordPid()
}

// recordPid writes down which process init is.
func (b *build) recordPid() error {
	start, _, err := proc.StartTime(b.child.Pid)
	if err != nil {
		return err
	}
	b.rec.Pid, b.rec.PidStart = b.child.Pid, start
	return b.dir.Save(b.rec)
}

// takeTerminal takes the terminal's master, which the child has sent, and hands it on:
// to the console socket, as long as the processes of the pidfds in while live, or, where
// there is none, to the caller, who serves it.
func takeTerminal(ptmx int, socket string, while ...int) (*os.File, error) {
	if err := terminal.Master(ptmx); err != nil {
		unix.Close(ptmx)
		return nil, fmt.Errorf("process.terminal: %w", err)
	}
	if socket == "" {
		return os.NewFile(uintptr(ptmx), "terminal of the container"), nil
	}
	defer unix.Close(ptmx)
	if err := terminal.SendFd(socket, ptmx, "/dev/ptmx", while...); err != nil {
		return nil, fmt.Errorf("--console-socket: %w", err)
	}
	return nil, nil
}

// home looks for the home directory of a user in the container's passwd file, which the
// child sends piece by piece.
type home struct {
	line []byte // the last one, as far as it has come
	read int    // bytes so far
}

// answer takes a piece of the file, and answers with the home directory of the user, or
// asks for the next piece.
func (h *home) answer(child *program.Child, e program.Event, uid uint32) error {
	dir, found := h.find(e.Data, uid)
	if !found {
		return child.Send(user.HomeMore())
	}
	return child.Send(user.HomeReply(dir))
}

// find looks through the next piece, an empty one being the end of the file. It reports
// false when it takes more to tell.
func (h *home) find(piece []byte, uid uint32) (dir string, found bool) {
	h.line, h.read = append(h.line, piece...), h.read+len(piece)
	end := len(piece) == 0 || h.read >= user.Limit
	dir, found = user.Home(h.line, uid, end)
	if found || end {
		*h = home{}
		return dir, true
	}
	h.line = h.line[bytes.LastIndexByte(h.line, '\n')+1:] // the rest is done with
	return "", false
}

// announce hands out the process id, the pidfd, and commits the new status; the
// pid file comes last, since engines take it for success.
func (b *build) announce() error {
	if err := b.dir.SetCreated(); err != nil {
		return err
	}
	if b.fifo {
		if err := b.child.Release(); err != nil { // on to the fifo
			return b.child.Cause(err)
		}
	}
	if b.o.PidfdSocket != "" {
		if err := terminal.SendFd(b.o.PidfdSocket, b.child.Pidfd, "standard", b.child.Pidfd); err != nil {
			return fmt.Errorf("--pidfd-socket: %w", err)
		}
	}
	if b.o.PidFile != "" {
		if err := writePidFile(b.o.PidFile, b.child.Pid); err != nil {
			return fmt.Errorf("--pid-file: %w", err)
		}
		b.onFailure(func() { b.warnIf(os.Remove(b.o.PidFile)) })
	}
	if b.trace != nil {
		b.trace.AddChild(b.child.Stamps(), b.child.Pid, 0)
	}
	return nil
}
