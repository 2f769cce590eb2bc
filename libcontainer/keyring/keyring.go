// Package keyring emits the container's own session keyring.
//
// Source: keyctl(2), session-keyring(7).
package keyring

import (
	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

// QuotaTag tells the parent that the user's quota of keys is used up, so that
// the container keeps the caller's keyring; init does not wait.
const QuotaTag = 0x101

// Join emits a new session keyring of the container id. A kernel without keys
// and a used-up quota are no errors.
func Join(b *program.Builder, id string) {
	b.Element(program.T("process"))
	b.Doing(program.T("make the session keyring _ses.%s", id))
	r, done, quota := b.Reg(), b.Label(), b.Label()
	b.Sys(unix.SYS_KEYCTL, program.Imm(unix.KEYCTL_JOIN_SESSION_KEYRING), b.Str("_ses."+id)).To(r).Ignore()
	b.If(r, program.Ge, 0, done)
	b.IfErrno(r, unix.ENOSYS, done)
	b.IfErrno(r, unix.EDQUOT, quota)
	b.Step(program.T("keyctl KEYCTL_JOIN_SESSION_KEYRING; --no-new-keyring keeps the caller's"))
	b.Sys(unix.SYS_KEYCTL, program.Imm(unix.KEYCTL_JOIN_SESSION_KEYRING), b.Str("_ses."+id)) // fails with its errno
	b.Jump(done)
	b.Bind(quota)
	b.Tell(QuotaTag, 0)
	b.Bind(done)
}
