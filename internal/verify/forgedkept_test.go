package verify_test

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/verify"
)

// TestForgedLegaciesAreRefused has a program leave descriptors open that the process it executes
// gets.
func TestForgedLegaciesAreRefused(t *testing.T) {
	late := func(list func(f *forger) program.Instr) func(f *forger) {
		return func(f *forger) { f.insert(f.last(unix.SYS_CAPSET)+1, list(f)) }
	}
	forgeries(t, map[string]forgery{
		"a file of the image": {rule: verify.FdExec, forge: late(func(f *forger) program.Instr {
			return to(f.reg(0), sys(unix.SYS_OPENAT2, at, f.str("/etc/shadow"), f.how(unix.O_RDONLY, unix.RESOLVE_NO_MAGICLINKS).Arg(), num(24)))
		})},
		"the root": {rule: verify.FdExec, forge: late(func(f *forger) program.Instr {
			return to(f.reg(0), sys(unix.SYS_OPENAT, at, f.str("/"), num(unix.O_PATH)))
		})},
		"a socket": {rule: verify.FdExec, forge: late(func(f *forger) program.Instr {
			return to(f.reg(0), sys(unix.SYS_SOCKET, num(unix.AF_PACKET), num(unix.SOCK_RAW), num(0)))
		})},
		"memory": {rule: verify.FdExec, forge: late(func(f *forger) program.Instr {
			return to(f.reg(0), sys(unix.SYS_MEMFD_CREATE, f.str("m"), num(0)))
		})},
		"a copy of the socket": {rule: verify.FdExec, forge: late(func(f *forger) program.Instr {
			return to(f.reg(0), sys(unix.SYS_DUP, val(f.p.Sync())))
		})},
		"a copy of the root": {rule: verify.FdUse, forge: func(f *forger) {
			pc, root := f.attached()
			f.insert(pc, to(f.reg(0), sys(unix.SYS_DUP, val(root))))
		}},
		"a clone of a mount": {rule: verify.FdExec, forge: func(f *forger) {
			f.p.Child[f.last(unix.SYS_OPEN_TREE)].Args[2] = num(unix.OPEN_TREE_CLONE | empty)
		}},
		"a standard descriptor that execve closes": {rule: verify.Stdio, forge: change(unix.SYS_DUP3, 2, func(*forger) program.Arg { return num(unix.O_CLOEXEC) }),
			config: func(in *compile.Input) {
				in.Spec.Process.Terminal, in.Fifo = false, false
				for i := range in.Host.Std {
					in.Host.Std[i].Open, in.Host.Std[i].Null = true, true
				}
			}},
	})
}

// TestForgedLooksAreRefused has a program look for names of the image while descriptors of the
// host are open.
func TestForgedLooksAreRefused(t *testing.T) {
	behind := func(list func(f *forger, root program.Reg) program.Instr) func(f *forger) {
		return func(f *forger) {
			pc, root := f.attached()
			f.insert(pc, list(f, root))
		}
	}
	forgeries(t, map[string]forgery{
		"statx from the root": {rule: verify.FdName, forge: behind(func(f *forger, root program.Reg) program.Instr {
			return ignored(sys(unix.SYS_STATX, val(root), f.str("etc/passwd"), num(0), num(0x7ff), f.zero(256).Arg()))
		})},
		"statx of a name that is followed": {rule: verify.FdName, forge: behind(func(f *forger, root program.Reg) program.Instr {
			return ignored(sys(unix.SYS_STATX, val(root), f.str("etc"), num(0), num(0x7ff), f.zero(256).Arg()))
		})},
		"faccessat from the root": {rule: verify.FdName, forge: behind(func(f *forger, root program.Reg) program.Instr {
			return ignored(sys(unix.SYS_FACCESSAT, val(root), f.str("etc/passwd"), num(0)))
		})},
		"statfs": {rule: verify.FdName, forge: func(f *forger) {
			f.insert(f.closes(), ignored(sys(unix.SYS_STATFS, f.str("/etc/passwd"), f.zero(128).Arg())))
		}},
	})
}

// TestForgedReadsAreRefused has a program read what is the host's.
func TestForgedReadsAreRefused(t *testing.T) {
	forgeries(t, map[string]forgery{
		"a file": {rule: verify.FdUse, forge: func(f *forger) {
			h := f.reg(0)
			f.insert(0, f.host(h, "/etc/shadow"), sys(unix.SYS_READ, val(h), f.zero(64).Arg(), num(64)))
		}},
		"a directory": {rule: verify.FdUse, forge: func(f *forger) {
			h := f.reg(0)
			f.insert(0, f.host(h, "/etc"), sys(unix.SYS_GETDENTS64, val(h), f.zero(64).Arg(), num(64)))
		}},
		"a file that is sent on": {rule: verify.FdUse, forge: func(f *forger) {
			h, m := f.reg(0), f.reg(0)
			f.insert(0, f.host(h, "/etc/shadow"), to(m, sys(unix.SYS_MEMFD_CREATE, f.str("m"), num(unix.MFD_CLOEXEC))),
				sys(unix.SYS_SENDFILE, val(m), val(h), num(0), num(64)))
		}},
		"a terminal of the host's": {rule: verify.FdUse, forge: func(f *forger) {
			h := f.reg(0)
			f.insert(0, f.host(h, "/dev/ptmx"), to(f.reg(0), sys(unix.SYS_IOCTL, val(h), num(unix.TIOCGPTPEER), num(unix.O_RDWR|unix.O_CLOEXEC))))
		}},
	})
}

// TestForgedNamespacesAreRefused has a program make namespaces, or change what is in them, beside
// the configuration.
func TestForgedNamespacesAreRefused(t *testing.T) {
	forgeries(t, map[string]forgery{
		"a second network namespace":                 {rule: verify.Namespaces, forge: func(f *forger) { f.insert(f.closes(), sys(unix.SYS_UNSHARE, num(unix.CLONE_NEWNET))) }},
		"a namespace that the configuration has not": {rule: verify.Namespaces, forge: func(f *forger) { f.insert(0, sys(unix.SYS_UNSHARE, num(unix.CLONE_NEWTIME))) }},
		"a further process makes one": {rule: verify.Namespaces, exec: func(*compile.ExecInput) {}, forge: func(f *forger) {
			f.insert(f.closes(), sys(unix.SYS_UNSHARE, num(unix.CLONE_NEWNET)))
		}},
		"a clone makes one": {rule: verify.Namespaces, exec: func(*compile.ExecInput) {}, forge: func(f *forger) {
			b, _ := f.p.Child[f.last(unix.SYS_CLONE3)].Args[0].Addr()
			f.p.Data(b+3, 1)[0] |= unix.CLONE_NEWNET >> 24
		}},
		"a clone with a number of its own": {rule: verify.Known, exec: func(*compile.ExecInput) {}, forge: func(f *forger) {
			pc := f.last(unix.SYS_CLONE3)
			f.p.Child[pc].Args[0], f.p.Child[pc].Args[1] = f.words(unix.CLONE_PARENT, 0, 0, 0, 0, 0, 0, 0, 4096, 1, 0).Arg(), num(88)
		}},
		"a cgroup namespace before the birth": {rule: verify.Cgroup, forge: func(f *forger) {
			pc := f.last(unix.SYS_UNSHARE)
			in := f.p.Child[pc]
			f.p.Child[pc] = program.Instr{Op: program.OpJump, To: program.Label(pc + 1)}
			f.insert(0, in)
		}},
		"a cgroup namespace before the cgroup": {rule: verify.Cgroup, config: func(in *compile.Input) { in.Tasks, in.Unattended = 1, true }, forge: func(f *forger) {
			pc := f.last(unix.SYS_UNSHARE)
			in := f.p.Child[pc]
			f.p.Child[pc] = program.Instr{Op: program.OpJump, To: program.Label(pc + 1)}
			f.insert(0, in)
		}},
		"another interface": {rule: verify.Namespaces, forge: func(f *forger) { f.p.Child[f.find(0, unix.SYS_IOCTL)].Args[2] = f.str("hutch0") }},
		"an interface of others": {rule: verify.Namespaces, config: func(in *compile.Input) {
			for i := range in.Spec.Linux.Namespaces {
				if n := &in.Spec.Linux.Namespaces[i]; n.Type == specs.NetworkNamespace {
					n.Path = "/run/netns/x"
				}
			}
		}, forge: func(f *forger) {
			s := f.reg(0)
			f.insert(f.closes(), to(s, sys(unix.SYS_SOCKET, num(unix.AF_UNIX), num(unix.SOCK_DGRAM|unix.SOCK_CLOEXEC), num(0))),
				sys(unix.SYS_IOCTL, val(s), num(unix.SIOCSIFFLAGS), f.str("lo")))
		}},
		"a session before the clone": {rule: verify.Session, exec: func(*compile.ExecInput) {}, forge: func(f *forger) {
			a, b := f.find(0, unix.SYS_SCHED_SETAFFINITY), f.last(unix.SYS_SETSID)
			f.p.Child[a], f.p.Child[b] = f.p.Child[b], f.p.Child[a]
		}},
		"a capability leaves the ambient set": {rule: verify.Ambient, forge: func(f *forger) {
			f.insert(f.closes(), sys(unix.SYS_PRCTL, num(unix.PR_CAP_AMBIENT), num(unix.PR_CAP_AMBIENT_LOWER), num(5), num(0), num(0)))
		}},
		"the process's executable": {rule: verify.Known, forge: func(f *forger) {
			f.insert(0, sys(unix.SYS_PRCTL, num(unix.PR_SET_MM), num(unix.PR_SET_MM_EXE_FILE), num(0), num(0), num(0)))
		}},
	})
}
