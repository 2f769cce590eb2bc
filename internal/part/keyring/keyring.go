// Package keyring emits the container's own session keyring.
//
// A keyring is joined by its name, by every process of the same user that may
// search it. So the name is a secret: 128 random bits that are in the container's
// record alone and that others of the user, who may be root of another container,
// do not see. Whoever joins it later compares what it got with the serial number
// of what was made, since a name can be given again when its keyring is gone.
//
// Source: keyctl(2), keyrings(7), session-keyring(7);
// security/keys/process_keys.c, join_session_keyring.
package keyring

import (
	"encoding/hex"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/sys"
)

// MadeTag is the tag of the message with the serial number of the keyring, where it is
// made after the parent has recorded init, who does not wait.
const MadeTag = 0x102

// Permissions, for what is possessed and for other processes of the owner. A
// session keyring that is joined by name must be found by its owner; that its
// owner sees, reads or links it is taken away.
//
// Source: linux/key.h.
const (
	possessed = 0x3f000000 // KEY_POS_ALL
	findable  = 0x00080000 // KEY_USR_SEARCH
)

// prefix is what session keyrings of containers are called by.
const prefix = "_ses."

// Planned stands for a name in a program that is not run.
const Planned = prefix + "RANDOM"

// NewName returns a name that nobody can guess.
func NewName() (string, error) {
	var bits [16]byte
	for n := 0; n < len(bits); {
		m, err := sys.Retry1(func() (int, error) { return unix.Getrandom(bits[n:], 0) })
		if err != nil {
			return "", fmt.Errorf("getrandom: %w", err)
		}
		n += m
	}
	return prefix + hex.EncodeToString(bits[:]), nil
}

// Make emits the making of the session keyring of a container and gives the
// register of its serial number. It comes when the process is root of the
// container's user namespace, who then owns it. A kernel without keys is no error; the
// register is negative then.
func Make(b *program.Builder, name string) program.Reg {
	b = b.Element(program.T("process")).Doing(program.T("make the session keyring")) // its name is a secret
	ring, done := b.RegOf(-1), b.Label()
	join(b, name, ring, done)
	restrict(b, ring, possessed|findable) // before the process is anybody else's
	b.Bind(done)
	return ring
}

// Join emits the joining of the session keyring that a container's init made. When
// it is there no more, or another has its name by now, the process gets one of its
// own.
func Join(b *program.Builder, name string, serial int64) {
	b = b.Element(program.T("process")).Doing(program.T("join the container's session keyring"))
	ring, done := b.RegOf(-1), b.Label()
	if name != "" && serial > 0 {
		join(b, name, ring, done)
		b.If(ring, program.Eq, serial, done)
		b = b.Doing(program.T("make a session keyring, since the container's is gone"))
		// What was joined must be left: from here on all errors are errors.
		call.KeyctlJoin(b.Step(program.T("keyctl KEYCTL_JOIN_SESSION_KEYRING")), "").To(ring)
	} else {
		b = b.Doing(program.T("make a session keyring"))
		join(b, "", ring, done)
	}
	restrict(b, ring, possessed)
	b.Bind(done)
}

// join emits the joining of a keyring, which is made when there is none of the
// name, or always without a name. Without keys the program goes on at none. A quota that
// is used up is an error: the process would keep the caller's keyring, and containers of
// the same user can use it up.
func join(b *program.Builder, name string, ring program.Reg, none program.Label) {
	joined := b.Label()
	call.KeyctlJoin(b, name).To(ring).Ignore()
	b.If(ring, program.Ge, 0, joined)
	b.IfErrno(ring, unix.ENOSYS, none)
	step := b.Step(program.T("keyctl KEYCTL_JOIN_SESSION_KEYRING (is the quota used up: kernel.keys.maxkeys, maxbytes; --no-new-keyring keeps the caller's)"))
	call.KeyctlJoin(step, name).To(ring) // fails with its errno
	b.Bind(joined)
}

// restrict emits the permissions of a keyring.
func restrict(b *program.Builder, ring program.Reg, permissions uint64) {
	call.KeyctlSetperm(b.Step(program.T("keyctl KEYCTL_SETPERM")), call.Value(ring), permissions)
}

// JoinNew gives the calling thread, and what it starts, a new session keyring of the name,
// as Make does for a program, and returns its serial number, 0 where the kernel has no
// keys.
func JoinNew(name string) (serial int64, err error) {
	ring, err := unix.KeyctlJoinSessionKeyring(name)
	if err == unix.ENOSYS {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("keyctl KEYCTL_JOIN_SESSION_KEYRING: %w", err)
	}
	if err := unix.KeyctlSetperm(ring, findable|possessed); err != nil {
		return 0, fmt.Errorf("keyctl KEYCTL_SETPERM: %w", err)
	}
	return int64(ring), nil
}
