package verify_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/id32"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/verify"
)

// unneeded are calls that no program of the default configuration needs, wherever they stand.
func unneeded(f *forger) map[string]program.Instr {
	etc, x, dot := f.str("/etc"), f.str("x"), f.str(".")
	word := f.words(0, 0, 0, 0, 0, 0, 0, 0).Arg()
	all := ^uint64(0)
	return map[string]program.Instr{
		"setns":             sys(unix.SYS_SETNS, num(3), num(unix.CLONE_NEWNET)),
		"unshare":           sys(unix.SYS_UNSHARE, num(unix.CLONE_NEWNET)),
		"unshare user":      sys(unix.SYS_UNSHARE, num(unix.CLONE_NEWUSER)),
		"clone":             sys(unix.SYS_CLONE, num(unix.CLONE_NEWNS|uint64(unix.SIGCHLD)), num(0)),
		"mount":             sys(unix.SYS_MOUNT, f.str("proc"), dot, f.str("proc"), num(0), num(0)),
		"bind":              sys(unix.SYS_MOUNT, etc, dot, num(0), num(unix.MS_BIND), num(0)),
		"remount":           sys(unix.SYS_MOUNT, num(0), etc, num(0), num(unix.MS_REMOUNT|unix.MS_BIND), num(0)),
		"share":             sys(unix.SYS_MOUNT, num(0), f.str("/"), num(0), num(unix.MS_REC|unix.MS_SHARED), num(0)),
		"umount2":           sys(unix.SYS_UMOUNT2, etc, num(unix.MNT_DETACH)),
		"fsopen":            sys(unix.SYS_FSOPEN, f.str("ext4"), num(unix.FSOPEN_CLOEXEC)),
		"mount_setattr":     sys(unix.SYS_MOUNT_SETATTR, at, etc, num(0), word, num(32)),
		"chroot":            sys(unix.SYS_CHROOT, f.str("..")),
		"openat":            sys(unix.SYS_OPENAT, at, etc, num(unix.O_RDWR|unix.O_CLOEXEC)),
		"openat kept":       sys(unix.SYS_OPENAT, at, etc, num(unix.O_PATH)),
		"mknodat":           sys(unix.SYS_MKNODAT, at, x, num(unix.S_IFBLK|0o600), num(unix.Mkdev(8, 0))),
		"mkdirat":           sys(unix.SYS_MKDIRAT, at, x, num(0o755)),
		"unlinkat":          sys(unix.SYS_UNLINKAT, at, x, num(0)),
		"symlinkat":         sys(unix.SYS_SYMLINKAT, etc, at, x),
		"fchmodat":          sys(unix.SYS_FCHMODAT, at, etc, num(0o777)),
		"fchownat":          sys(unix.SYS_FCHOWNAT, at, etc, num(0), num(0), num(unix.AT_SYMLINK_NOFOLLOW)),
		"fchown":            sys(int(id32.Fchown), num(0), num(1000), num(1000)),
		"capset":            sys(unix.SYS_CAPSET, f.words(unix.LINUX_CAPABILITY_VERSION_3).Arg(), f.words(all, all, all).Arg()),
		"dumpable":          sys(unix.SYS_PRCTL, num(unix.PR_SET_DUMPABLE), num(1)),
		"securebits":        sys(unix.SYS_PRCTL, num(unix.PR_SET_SECUREBITS), num(1)),
		"keyctl":            sys(unix.SYS_KEYCTL, num(unix.KEYCTL_READ), num(1), num(0), num(0)),
		"keyring":           sys(unix.SYS_KEYCTL, num(unix.KEYCTL_JOIN_SESSION_KEYRING), x),
		"seccomp":           sys(unix.SYS_SECCOMP, num(unix.SECCOMP_SET_MODE_FILTER), num(0), word),
		"sethostname":       sys(unix.SYS_SETHOSTNAME, x, num(1)),
		"setdomainname":     sys(unix.SYS_SETDOMAINNAME, x, num(1)),
		"personality":       sys(unix.SYS_PERSONALITY, num(0x400000)),
		"sched_setattr":     sys(unix.SYS_SCHED_SETATTR, num(0), word, num(0)),
		"ioprio_set":        sys(unix.SYS_IOPRIO_SET, num(1), num(0), num(1<<13)),
		"set_mempolicy":     sys(unix.SYS_SET_MEMPOLICY, num(0), num(0), num(0)),
		"prlimit64":         sys(unix.SYS_PRLIMIT64, num(0), num(unix.RLIMIT_CORE), word, num(0)),
		"prlimit64 of init": sys(unix.SYS_PRLIMIT64, num(1), num(unix.RLIMIT_NOFILE), word, num(0)),
		"socket":            sys(unix.SYS_SOCKET, num(unix.AF_PACKET), num(unix.SOCK_RAW), num(0)),
		"write":             sys(unix.SYS_WRITE, val(f.p.Sync()), word, num(16)),
		"ioctl":             sys(unix.SYS_IOCTL, num(0), num(unix.TIOCSTI), word),
		"close":             sys(unix.SYS_CLOSE, num(0)),
		"dup3":              sys(unix.SYS_DUP3, val(f.p.Sync()), num(0), num(0)),
		"execve":            sys(unix.SYS_EXECVE, f.str("/bin/sh"), word, word),
		"ptrace":            sys(unix.SYS_PTRACE, num(0), num(0), num(0), num(0)),
		"kill":              sys(unix.SYS_KILL, program.Imm(-1), num(9)),
		"connect":           sys(unix.SYS_CONNECT, num(0), word, num(16)),
		"bpf":               sys(unix.SYS_BPF, num(0), word, num(64)),
	}
}

// TestInsertedCallsAreRefused puts calls that are not needed at every few places of programs.
func TestInsertedCallsAreRefused(t *testing.T) {
	const every = 17
	for name, change := range map[string]func(in *compile.Input){
		"with a terminal":    nil,
		"with hooks":         started,
		"without pivot_root": func(in *compile.Input) { in.NoPivot = true },
	} {
		f := forged(t, change)
		report, err := verify.Program(f.p, f.e)
		if err != nil {
			t.Fatal(err)
		}
		reached := make([]bool, len(f.p.Child))
		for pc := range reached {
			reached[pc] = true
		}
		for _, pc := range report.Unreached {
			reached[pc] = false
		}
		for call, in := range unneeded(f) {
			for pc := 0; pc < len(reached); pc += every {
				if !reached[pc] {
					continue
				}
				m := forger{t: t, p: f.p.Copy(), e: f.e}
				m.insert(pc, in)
				if _, err := verify.Program(m.p, f.e); err == nil {
					t.Errorf("%s: %s before instruction %d (%s), and the program is taken", name, call, pc, f.p.Note(&f.p.Child[pc]).String())
				}
			}
		}
	}
}
