package process

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hutch/internal/longid"
	"hutch/libcontainer/program"
)

// nullMajor and nullMinor are the device number of /dev/null.
const (
	nullMajor = 1
	nullMinor = 3
)

// Stdio emits the hand-over of the standard descriptors to the process's user,
// so that it may open them again by /proc/self/fd. The null device, which is
// everybody's, stays as it is, and so does what cannot be handed over: a
// descriptor that is closed, a file of an unmapped user or on a read-only file
// system. The group stays, since a mount may want a certain one.
func Stdio(b *program.Builder, p *specs.Process) {
	b.Element(program.T("process.user.uid"))
	buf, r := b.Zero(statxSize), b.Reg()
	word := func(off uint32) program.Mem { return program.Mem{Off: buf.Off + off, Len: 4} }
	for fd := range 3 {
		b.Doing(program.N("hand descriptor %d over to the user", fd))
		next, give := b.Label(), b.Label()
		b.Sys(unix.SYS_STATX, program.Imm(fd), b.Str(""), program.Imm(unix.AT_EMPTY_PATH), program.Imm(unix.STATX_UID), buf.Arg()).To(r).Ignore()
		b.If(r, program.Ne, 0, next)
		b.IfWord(word(statxUID), -1, program.Eq, int64(p.User.UID), next)
		b.IfWord(word(statxMajor), -1, program.Ne, nullMajor, give)
		b.IfWord(word(statxMinor), -1, program.Eq, nullMinor, next)
		b.Bind(give)
		b.Sys(longid.Fchown, program.Imm(fd), program.Imm(p.User.UID), program.Imm(-1)).Ignore()
		b.Bind(next)
	}
}

// CloseOthers emits the closing of all descriptors but the standard ones, the
// next preserve ones, the socket to the parent and those that the registers keep
// hold when the child is made. Of the preserved ones those stay closed that were
// not open when the runtime was started, since all that it opens itself is
// close-on-exec. It comes before Lookup and Execve: a program of the image's
// choice, as /proc/self/fd/7/bin/sh, must not lead to the host's files.
//
// Source: close_range(2); CVE-2024-21626.
func CloseOthers(b *program.Builder, preserve int, keep ...program.Reg) {
	b.Element(program.T("process"))
	b.Doing(program.T("close all other descriptors"))
	b.CloseExcept(3+preserve, keep...)
}

// Descriptors emits that execve closes all but the standard descriptors and the
// next preserve ones. Where CloseOthers can be used, it is not needed.
//
// Source: close_range(2). Needs Linux 5.11 for CLOSE_RANGE_CLOEXEC.
func Descriptors(b *program.Builder, preserve int) {
	b.Element(program.T("process"))
	b.Doing(program.T("close all other descriptors at execve"))
	b.Sys(unix.SYS_CLOSE_RANGE, program.Imm(3+preserve), program.Imm(uint32(1<<31-1)), program.Imm(unix.CLOSE_RANGE_CLOEXEC))
}
