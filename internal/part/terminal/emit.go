package terminal

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/program/call/idiom"
)

// ConsoleTag is the tag by which a process hands over the master of its terminal, which
// comes along; it waits for the answer.
const ConsoleTag = 0x30000

// Exec emits the terminal of a further process p, which is at its container's root: Open
// and Use. The bind on /dev/console is init's.
func Exec(b *program.Builder, p *specs.Process) {
	b = Label(b)
	step := b.Step(program.T("open /"))
	root := call.Openat(step, call.Cwd(), call.PathTo(b, "/"), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC).Fd()
	ptmx, slave := Open(b, root, p)
	Use(b, ptmx, slave)
}

// Label returns b with the label of what opens a terminal.
func Label(b *program.Builder) *program.Builder {
	return b.Element(program.T("process.terminal")).Doing(program.T("open a terminal"))
}

// Open emits the opening of a terminal of the container's own devpts, of which root leads
// to the container's root, and returns its two ends.
func Open(b *program.Builder, root program.Reg, p *specs.Process) (ptmx, slave program.Reg) {
	step := b.Step(program.T("open /dev/pts/ptmx of the container (mount a devpts on /dev/pts)"))
	ptmx = idiom.OpenIn(step, root, "/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY, idiom.InRoot).Fd()
	idiom.MustBeOn(b.Step(program.T("/dev/pts/ptmx is not on a devpts")), ptmx, unix.DEVPTS_SUPER_MAGIC, unix.ENODEV)
	// Before the other end is opened, which a locked terminal refuses.
	call.IoctlUnlock(b.Step(program.T("unlock it")), call.In(ptmx))
	// By the master, and not by its name in /dev/pts, which may be another terminal's.
	step = b.Step(program.T("open its other end"))
	slave = call.IoctlPeer(step, call.In(ptmx), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC).Fd()
	consoleSize(b, ptmx, p.ConsoleSize) // before anybody could ask for it
	if uid := p.User.UID; uid != 0 {
		// The group stays the one of the devpts, as with its option gid.
		step := b.Step(program.T("hand it to the user"))
		call.Fchown(step, call.In(slave), call.Owner{UID: call.N(uid), GID: call.N(-1)})
	}
	return ptmx, slave
}

// Use emits the hand-over to the parent and the use of the other end.
func Use(b *program.Builder, ptmx, slave program.Reg) {
	step := b.Step(program.T("hand it to the runtime"))
	step.TellFd(ConsoleTag, 0, ptmx)
	step.Wait(ConsoleTag, b.Zero(1))
	for fd := range 3 {
		call.Dup3(b.Step(program.N("put it on descriptor %d", fd)), call.In(slave), call.As(fd), 0)
	}
}

// Control emits that the terminal on descriptor 0 becomes the controlling one
// of the session that the process leads.
func Control(b *program.Builder) {
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
