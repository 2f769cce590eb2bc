package process

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hutch/internal/longid"
	"hutch/libcontainer/program"
)

// ErrID is returned for the id -1, which to the kernel means "no change": the
// process would stay root.
var ErrID = errors.New("is not an id; give a number from 0 to 4294967294")

// IDs emits the change to the user, group and additional groups of the process.
// Capabilities are kept over it only with PR_SET_KEEPCAPS; see capability.
//
// Source: setgroups(2), setresuid(2), prctl(2).
func IDs(b *program.Builder, p *specs.Process) {
	u := p.User
	groups(b, u.AdditionalGids)
	gid, uid := program.Imm(u.GID), program.Imm(u.UID)
	b.Element(program.T("process.user.gid"))
	b.Doing(program.T("change to group %s", id(u.GID)))
	check(b, u.GID)
	b.Sys(longid.Setresgid, gid, gid, gid)
	b.Element(program.T("process.user.uid"))
	b.Doing(program.T("change to user %s", id(u.UID)))
	check(b, u.UID)
	b.Sys(longid.Setresuid, uid, uid, uid)
	// The kernel has set it to fs.suid_dumpable.
	b.Doing(program.T("stay closed to the processes of the user"))
	b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_SET_DUMPABLE), program.Imm(0))
}

func groups(b *program.Builder, gids []uint32) {
	b.Element(program.T("process.user.additionalGids"))
	b.Doing(program.N("set %d groups", len(gids)))
	list := make([]byte, 0, 4*len(gids)+4)
	for _, g := range gids {
		check(b, g)
		list = binary.NativeEndian.AppendUint32(list, g)
	}
	c := b.Sys(longid.Setgroups, program.Imm(len(gids)), b.Bytes(append(list, 0, 0, 0, 0)).Arg())
	if len(gids) == 0 {
		// A user namespace may deny setgroups. Its process keeps the groups
		// that it came with, which is what the denial is for.
		denied := b.Label()
		c.On(unix.EPERM, denied)
		b.Bind(denied)
	}
}

func id(v uint32) string { return strconv.FormatUint(uint64(v), 10) }

func check(b *program.Builder, v uint32) {
	if v == math.MaxUint32 {
		b.Fault(ErrID)
	}
}

// Umask emits process.user.umask; when it is not set the umask stays.
//
// Source: umask(2).
func Umask(b *program.Builder, p *specs.Process) {
	if p.User.Umask == nil {
		return
	}
	b.Element(program.T("process.user.umask"))
	b.Doing(program.T("set it"))
	b.Sys(unix.SYS_UMASK, program.Imm(*p.User.Umask))
}

// NoNewPrivileges emits process.noNewPrivileges.
//
// Source: kernel userspace-api/no_new_privs.rst.
func NoNewPrivileges(b *program.Builder, p *specs.Process) {
	if !p.NoNewPrivileges {
		return
	}
	b.Element(program.T("process.noNewPrivileges"))
	b.Doing(program.T("set it"))
	b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_SET_NO_NEW_PRIVS), program.Imm(1), program.Imm(0), program.Imm(0), program.Imm(0))
}
