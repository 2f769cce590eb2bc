package process

import (
	"encoding/binary"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

// IDs emits the change to the user, group and additional groups of the process.
//
// Source: setgroups(2), setresuid(2).
func IDs(b *program.Builder, p *specs.Process) {
	u := p.User
	b.Element(program.T("process.user.additionalGids"))
	b.Doing(program.N("set %d groups", len(u.AdditionalGids)))
	var list []byte
	for _, g := range u.AdditionalGids {
		list = binary.NativeEndian.AppendUint32(list, g)
	}
	c := b.Sys(unix.SYS_SETGROUPS, program.Imm(len(u.AdditionalGids)), b.Bytes(append(list, 0, 0, 0, 0)).Arg())
	if len(u.AdditionalGids) == 0 {
		c.Ignore() // a user namespace may deny setgroups; then there are none to set
	}
	b.Element(program.T("process.user.gid"))
	b.Doing(program.T("change to group %s", strconv.Itoa(int(u.GID))))
	b.Sys(unix.SYS_SETRESGID, program.Imm(u.GID), program.Imm(u.GID), program.Imm(u.GID))
	b.Element(program.T("process.user.uid"))
	b.Doing(program.T("change to user %s", strconv.Itoa(int(u.UID))))
	b.Sys(unix.SYS_SETRESUID, program.Imm(u.UID), program.Imm(u.UID), program.Imm(u.UID))
	b.Doing(program.T("stay closed to the processes of the user"))
	b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_SET_DUMPABLE), program.Imm(0))
}

// Umask emits process.user.umask; when it is not set the umask stays.
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

// Offsets in struct statx.
const (
	statxSize  = 256
	statxMode  = 28
	statxMajor = 128 // of the device that a special file stands for
	statxMinor = 132
)

// Stdio emits the hand-over of the standard descriptors to the process's user,
// so that it may open them again by /proc/self/fd. The null device stays as it
// is. What cannot be handed over stays, too.
func Stdio(b *program.Builder, p *specs.Process) {
	if p.User.UID == 0 {
		return
	}
	b.Element(program.T("process.user.uid"))
	for fd := range 3 {
		b.Doing(program.N("hand descriptor %d over to the user", fd))
		buf, r, next, give := b.Zero(statxSize), b.Reg(), b.Label(), b.Label()
		b.Sys(unix.SYS_STATX, program.Imm(fd), b.Str(""), program.Imm(unix.AT_EMPTY_PATH), program.Imm(unix.STATX_BASIC_STATS), buf.Arg()).To(r).Ignore()
		b.If(r, program.Ne, 0, next)
		b.IfWord(program.Mem{Off: buf.Off + statxMajor, Len: 4}, -1, program.Ne, 1, give)
		b.IfWord(program.Mem{Off: buf.Off + statxMinor, Len: 4}, -1, program.Eq, 3, next)
		b.Bind(give)
		b.Sys(unix.SYS_FCHOWN, program.Imm(fd), program.Imm(p.User.UID), program.Imm(-1)).Ignore()
		b.Bind(next)
	}
}

// Descriptors emits that execve closes all but the standard descriptors and the
// next preserve ones; of these, those stay closed that were not open when the
// runtime was started, since all that it opens itself is close-on-exec.
//
// Source: close_range(2).
func Descriptors(b *program.Builder, preserve int) {
	b.Element(program.T("process"))
	b.Doing(program.T("close all other descriptors at execve"))
	b.Sys(unix.SYS_CLOSE_RANGE, program.Imm(3+preserve), program.Imm(uint32(1<<31-1)), program.Imm(unix.CLOSE_RANGE_CLOEXEC))
}
