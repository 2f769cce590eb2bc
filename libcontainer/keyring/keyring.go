// Package keyring emits the container's own session keyring.
//
// Source: keyctl(2), keyrings(7), session-keyring(7).
package keyring

import (
	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

// QuotaTag tells the parent that the user's quota of keys is used up, so that
// the container keeps the caller's keyring; init does not wait.
const QuotaTag = 0x101

// permissions are those that the kernel gives a session keyring, and in addition
// that its owner may find it by its name: a process that is added to the
// container later joins it so.
//
// Source: linux/key.h; security/keys/process_keys.c, join_session_keyring.
const permissions = 0x3f000000 | // KEY_POS_ALL
	0x00010000 | // KEY_USR_VIEW
	0x00020000 | // KEY_USR_READ
	0x00100000 | // KEY_USR_LINK
	0x00080000 // KEY_USR_SEARCH, which is the addition

// Name is the name of the session keyring of the container id.
func Name(id string) string { return "_ses." + id }

// Join emits the making of the session keyring of the container id, or the
// joining of the one that is there. It comes when the process is root of the
// container's user namespace, who then owns it. A kernel without keys and a
// used-up quota are no errors.
func Join(b *program.Builder, id string) {
	b.Element(program.T("process"))
	b.Doing(program.T("join the session keyring %s", Name(id)))
	join := func() program.Call {
		return b.Sys(unix.SYS_KEYCTL, program.Imm(unix.KEYCTL_JOIN_SESSION_KEYRING), b.Str(Name(id)))
	}
	ring, joined, done, quota := b.Reg(), b.Label(), b.Label(), b.Label()
	join().To(ring).Ignore()
	b.If(ring, program.Ge, 0, joined)
	b.IfErrno(ring, unix.ENOSYS, done)
	b.IfErrno(ring, unix.EDQUOT, quota)
	b.Step(program.T("keyctl KEYCTL_JOIN_SESSION_KEYRING; --no-new-keyring keeps the caller's"))
	join().To(ring) // fails with its errno
	b.Bind(joined)
	b.Step(program.T("keyctl KEYCTL_SETPERM"))
	b.Sys(unix.SYS_KEYCTL, program.Imm(unix.KEYCTL_SETPERM), program.Val(ring), program.Imm(permissions))
	b.Jump(done)
	b.Bind(quota)
	b.Tell(QuotaTag, 0)
	b.Bind(done)
}
