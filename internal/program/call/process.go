package call

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/calls"
	"github.com/hutch-project/hutch/internal/id32"
	"github.com/hutch-project/hutch/internal/machine"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/sigaction"
)

// Argv and Envv are arrays of strings, see program.Builder.Strv.
type (
	Argv program.Mem
	Envv program.Mem
)

func Execve(b *program.Builder, path Path, args Argv, env Envv) program.Call {
	return b.Sys(unix.SYS_EXECVE, arg(path), program.Mem(args).Arg(), program.Mem(env).Arg())
}

// Clone makes a process by the older call, whose flags a seccomp filter can see.
//
// Source: clone(2), "C library/kernel differences".
func Clone(b *program.Builder, flags uint64) program.Call {
	first, second := machine.CloneArgs(flags, 0)
	return b.Sys(unix.SYS_CLONE, imm(first), imm(second), none(), none(), none())
}

// Wait4 waits for the end of pid; its status goes to the 4 bytes of status.
func Wait4(b *program.Builder, pid Num, status program.Mem, flags uint64) program.Call {
	return b.Sys(unix.SYS_WAIT4, arg(pid), status.Arg(), imm(flags), none())
}

func Unshare(b *program.Builder, flags uint64) program.Call {
	return b.Sys(unix.SYS_UNSHARE, imm(flags))
}

func Setns(b *program.Builder, fd Fd, flags uint64) program.Call {
	return b.Sys(unix.SYS_SETNS, arg(fd), imm(flags))
}

func Setsid(b *program.Builder) program.Call { return b.Sys(unix.SYS_SETSID) }

// Setpgid makes a process group of the process.
func Setpgid(b *program.Builder) program.Call { return b.Sys(unix.SYS_SETPGID, none(), none()) }

// Setresuid changes all three user ids.
func Setresuid(b *program.Builder, id uint32) program.Call {
	a := program.Imm(id)
	return b.Sys(id32.Setresuid, a, a, a)
}

// Setresgid changes all three group ids.
func Setresgid(b *program.Builder, id uint32) program.Call {
	a := program.Imm(id)
	return b.Sys(id32.Setresgid, a, a, a)
}

func Setgroups(b *program.Builder, gids []uint32) program.Call {
	list := make([]byte, 0, 4*len(gids)+4)
	for _, g := range gids {
		list = binary.NativeEndian.AppendUint32(list, g)
	}
	return b.Sys(id32.Setgroups, program.Imm(len(gids)), b.Bytes(append(list, 0, 0, 0, 0)).Arg())
}

// CapSets are the sets of capset(2).
type CapSets struct{ Effective, Permitted, Inheritable uint64 }

func Capset(b *program.Builder, s CapSets) program.Call {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{}
	for i := range data {
		shift := 32 * i
		data[i] = unix.CapUserData{Effective: uint32(s.Effective >> shift), Permitted: uint32(s.Permitted >> shift), Inheritable: uint32(s.Inheritable >> shift)}
	}
	return b.Sys(unix.SYS_CAPSET, program.Struct(b, &head).Arg(), program.Struct(b, &data).Arg())
}

// PrctlUndumpable closes the process to others of its user.
func PrctlUndumpable(b *program.Builder) program.Call {
	return b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_SET_DUMPABLE), none())
}

// PrctlDumpable opens it to them.
func PrctlDumpable(b *program.Builder) program.Call {
	return b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_SET_DUMPABLE), program.Imm(1))
}

func PrctlNoNewPrivs(b *program.Builder) program.Call {
	return b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_SET_NO_NEW_PRIVS), program.Imm(1), none(), none(), none())
}

// PrctlKeepCaps keeps the permitted set over a change of ids.
func PrctlKeepCaps(b *program.Builder) program.Call {
	return b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_SET_KEEPCAPS), program.Imm(1), none(), none(), none())
}

// PrctlCapbsetDrop takes a capability out of the bounding set.
func PrctlCapbsetDrop(b *program.Builder, capability int) program.Call {
	return b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_CAPBSET_DROP), program.Imm(capability), none(), none(), none())
}

// PrctlAmbientClear empties the ambient set.
func PrctlAmbientClear(b *program.Builder) program.Call {
	return b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_CAP_AMBIENT), program.Imm(unix.PR_CAP_AMBIENT_CLEAR_ALL), none(), none(), none())
}

// PrctlAmbientRaise puts a capability into the ambient set.
func PrctlAmbientRaise(b *program.Builder, capability int) program.Call {
	return b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_CAP_AMBIENT), program.Imm(unix.PR_CAP_AMBIENT_RAISE), program.Imm(capability), none(), none())
}

// PrctlMmMap describes the process's memory anew; m is a struct prctl_mm_map.
func PrctlMmMap(b *program.Builder, m program.Mem) program.Call {
	return b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_SET_MM), program.Imm(unix.PR_SET_MM_MAP), m.Arg(), program.Imm(m.Len), none())
}

// SeccompFilter loads a filter; m is a struct sock_fprog.
func SeccompFilter(b *program.Builder, flags uint64, m program.Mem) program.Call {
	return b.Sys(unix.SYS_SECCOMP, program.Imm(unix.SECCOMP_SET_MODE_FILTER), imm(flags), m.Arg())
}

// KeyctlJoin joins the session keyring of the name, or makes a new one without a name.
func KeyctlJoin(b *program.Builder, name string) program.Call {
	a := none()
	if name != "" {
		a = b.Str(name)
	}
	return b.Sys(unix.SYS_KEYCTL, program.Imm(unix.KEYCTL_JOIN_SESSION_KEYRING), a)
}

// KeyctlSetperm sets the permissions of a key.
func KeyctlSetperm(b *program.Builder, key Num, permissions uint64) program.Call {
	return b.Sys(unix.SYS_KEYCTL, program.Imm(unix.KEYCTL_SETPERM), arg(key), imm(permissions))
}

// Prlimit64 sets a limit of the process.
func Prlimit64(b *program.Builder, resource int, v unix.Rlimit) program.Call {
	return b.Sys(unix.SYS_PRLIMIT64, none(), program.Imm(resource), program.Struct(b, &v).Arg(), none())
}

func Personality(b *program.Builder, domain uint64) program.Call {
	return b.Sys(unix.SYS_PERSONALITY, imm(domain))
}

// RtSigprocmask changes the signals that are blocked; set is the kernel's set.
func RtSigprocmask(b *program.Builder, how uint64, set program.Mem) program.Call {
	return b.Sys(unix.SYS_RT_SIGPROCMASK, imm(how), set.Arg(), none(), program.Imm(set.Len))
}

// RtSigaction sets the action of a signal; action is the kernel's struct sigaction.
func RtSigaction(b *program.Builder, s unix.Signal, action program.Mem) program.Call {
	return b.Sys(unix.SYS_RT_SIGACTION, program.Imm(int(s)), action.Arg(), none(), program.Imm(sigaction.SetSize))
}

// SchedSetaffinity sets the processors that the process runs on.
func SchedSetaffinity(b *program.Builder, mask []byte) program.Call {
	return b.Sys(unix.SYS_SCHED_SETAFFINITY, none(), program.Imm(len(mask)), b.Bytes(mask).Arg())
}

func SchedSetattr(b *program.Builder, a *unix.SchedAttr) program.Call {
	return b.Sys(unix.SYS_SCHED_SETATTR, none(), program.Struct(b, a).Arg(), none())
}

// SetMempolicy sets the policy for the nodes of a mask, of which the kernel takes one
// bit less than bits; nil is no mask.
func SetMempolicy(b *program.Builder, mode uint64, nodes []byte, bits int) program.Call {
	mask := none()
	if nodes != nil {
		mask = b.Bytes(nodes).Arg()
	}
	return b.Sys(unix.SYS_SET_MEMPOLICY, imm(mode), mask, program.Imm(bits))
}

// IoprioSet sets the priority of the process; class and level are in one word.
//
// Source: ioprio_set(2), IOPRIO_WHO_PROCESS.
func IoprioSet(b *program.Builder, priority int) program.Call {
	return b.Sys(unix.SYS_IOPRIO_SET, program.Imm(1), none(), program.Imm(priority))
}

func Sethostname(b *program.Builder, name string) program.Call {
	return b.Sys(unix.SYS_SETHOSTNAME, b.Str(name), program.Imm(len(name)))
}

func Setdomainname(b *program.Builder, name string) program.Call {
	return b.Sys(unix.SYS_SETDOMAINNAME, b.Str(name), program.Imm(len(name)))
}

// Mapping is what mmap maps, and where.
type Mapping struct {
	Addr, Length uint64
	Prot, Flags  uint64
	Offset       uint64
}

func Mmap(b *program.Builder, m Mapping, fd Fd) program.Call {
	return b.Sys(calls.Mmap, imm(m.Addr), imm(m.Length), imm(m.Prot), imm(m.Flags), arg(fd), imm(m.Offset))
}
