package rootfs

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

const devptsMagic = unix.DEVPTS_SUPER_MAGIC

// Console emits the terminal of init: one of the container's own devpts, handed
// to the parent, bound on /dev/console, and put on the standard descriptors.
//
// Source: pts(4), ioctl_tty(2); runtime-spec config-linux.md "Default Devices".
func (r *Root) Console(b *program.Builder) {
	b = terminal(b)
	ptmx, slave := openTerminal(b, r.Fd, r.c.Spec.Process)
	r.bindConsole(b, slave)
	useTerminal(b, ptmx, slave)
}

// Terminal emits the terminal of a further process p, which is at its container's
// root: as Console, but for the bind on /dev/console, which is init's.
func Terminal(b *program.Builder, p *specs.Process) {
	b = terminal(b)
	step := b.Step(program.T("open /"))
	root := call.Openat(step, call.Cwd(), call.PathTo(b, "/"), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC).Fd()
	ptmx, slave := openTerminal(b, root, p)
	useTerminal(b, ptmx, slave)
}

// terminal returns b with the label of what opens a terminal.
func terminal(b *program.Builder) *program.Builder {
	return b.Element(program.T("process.terminal")).Doing(program.T("open a terminal"))
}

func openTerminal(b *program.Builder, root program.Reg, p *specs.Process) (ptmx, slave program.Reg) {
	step := b.Step(program.T("open /dev/pts/ptmx of the container (mount a devpts on /dev/pts)"))
	ptmx = open(step, root, "/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY, inRoot).Fd()
	mustBeOn(b.Step(program.T("/dev/pts/ptmx is not on a devpts")), ptmx, devptsMagic, unix.ENODEV)
	call.IoctlUnlock(b.Step(program.T("unlock it")), call.In(ptmx))
	step = b.Step(program.T("open its other end"))
	slave = call.IoctlPeer(step, call.In(ptmx), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC).Fd()
	consoleSize(b, ptmx, p.ConsoleSize)
	if uid := p.User.UID; uid != 0 {
		step := b.Step(program.T("hand it to the user"))
		call.Fchown(step, call.In(slave), call.Owner{UID: call.N(uid), GID: call.N(-1)})
	}
	return ptmx, slave
}

// useTerminal emits the hand-over to the parent and the use of the other end.
func useTerminal(b *program.Builder, ptmx, slave program.Reg) {
	step := b.Step(program.T("hand it to the runtime"))
	step.TellFd(ConsoleTag, 0, ptmx)
	step.Wait(ConsoleTag, b.Zero(1))
	for fd := range 3 {
		call.Dup3(b.Step(program.N("put it on descriptor %d", fd)), call.In(slave), call.As(fd), 0)
	}
}

// ControllingTerminal emits that the terminal on descriptor 0 becomes the controlling one
// of the session that the process leads.
func ControllingTerminal(b *program.Builder) {
	b = b.Element(program.T("process.terminal")).Doing(program.T("make it the controlling terminal"))
	call.IoctlControl(b, call.Number(0))
}

func consoleSize(b *program.Builder, ptmx program.Reg, s *specs.Box) {
	if s == nil {
		return
	}
	step := b.Step(program.T("set process.consoleSize"))
	call.IoctlWinsize(step, call.In(ptmx), unix.Winsize{Row: uint16(s.Height), Col: uint16(s.Width)})
}

// bindConsole emits the bind of the terminal on /dev/console, by descriptors on
// both sides, through no symbolic link.
func (r *Root) bindConsole(b *program.Builder, slave program.Reg) {
	if r.dev == 0 { // a bind's
		step := b.Step(program.T("open /dev, which must be a directory (no symbolic link)"))
		r.dev = open(step, r.Fd, "/dev", unix.O_PATH|unix.O_DIRECTORY, plain).Fd()
	}
	there := b.Label()
	step := b.Step(program.T("make /dev/console"))
	call.Mknodat(step, call.In(r.dev), call.PathTo(b, "console"), unix.S_IFREG|0o600, 0).On(unix.EEXIST, there)
	b.Bind(there)
	step = b.Step(program.T("open /dev/console, which must be no symbolic link"))
	target := open(step, r.dev, "console", unix.O_PATH, plain).Fd()
	step = b.Step(program.T("bind the terminal on /dev/console"))
	attach(step, cloneTree(step, slave, false).Fd(), target)
}
