package rootfs

import (
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// BindConsole emits the bind of init's terminal on /dev/console, by descriptors on both
// sides, through no symbolic link. It comes after Pivot.
//
// Source: runtime-spec config-linux.md "Default Devices".
func (r *Root) BindConsole(b *program.Builder, slave program.Reg) {
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
