package user

import (
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// Groups emits the change to the additional groups of the process, which comes before IDs.
func Groups(b *program.Builder, p *specs.Process) { groups(b, p.User.AdditionalGids) }

// IDs emits the change to the user and the group of the process.
// Capabilities are kept over it only with PR_SET_KEEPCAPS; see capability.
//
// Source: setgroups(2), setresuid(2), prctl(2).
func IDs(b *program.Builder, p *specs.Process) {
	u := p.User
	b = b.Element(program.T("process.user.gid")).Doing(program.T("change to group %s", id(u.GID)))
	mustBeID(b, u.GID)
	call.Setresgid(b, u.GID) // before the user: it needs CAP_SETGID
	b = b.Element(program.T("process.user.uid")).Doing(program.T("change to user %s", id(u.UID)))
	mustBeID(b, u.UID)
	call.Setresuid(b, u.UID)
	// The kernel has set it to fs.suid_dumpable.
	b = b.Doing(program.T("stay closed to the processes of the user"))
	call.PrctlUndumpable(b)
}

func groups(b *program.Builder, gids []uint32) {
	b = b.Element(program.T("process.user.additionalGids")).Doing(program.N("set %d groups", len(gids)))
	for _, g := range gids {
		mustBeID(b, g)
	}
	c := call.Setgroups(b, gids)
	if len(gids) == 0 {
		// A user namespace may deny setgroups. Its process keeps the groups
		// that it came with, which is what the denial is for.
		denied := b.Label()
		c.On(unix.EPERM, denied)
		b.Bind(denied)
	}
}

func id(v uint32) string { return strconv.FormatUint(uint64(v), 10) }

// mustBeID refuses the id -1, which to the kernel means "no change": the process would
// stay root.
func mustBeID(b *program.Builder, v uint32) {
	if v > check.MaxID {
		b.Fault(check.ErrID)
	}
}

// Umask emits process.user.umask; when it is not set the umask stays.
//
// Source: umask(2).
func Umask(b *program.Builder, p *specs.Process) {
	if p.User.Umask == nil {
		return
	}
	b = b.Element(program.T("process.user.umask")).Doing(program.T("set it"))
	call.Umask(b, call.N(*p.User.Umask))
}
