package verify_test

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/verify"
)

// TestForgedSettingsAreRefused has a program that sets what the configuration has not, or
// something else than it has.
func TestForgedSettingsAreRefused(t *testing.T) {
	first := func(list func(f *forger) program.Instr) func(f *forger) {
		return func(f *forger) { f.insert(f.closes(), list(f)) }
	}
	forgeries(t, map[string]forgery{
		"another host name": {rule: verify.Settings, forge: change(unix.SYS_SETHOSTNAME, 0, func(f *forger) program.Arg { return f.str("other") })},
		"no host name": {rule: verify.Settings, forge: func(f *forger) {
			pc := f.last(unix.SYS_SETHOSTNAME)
			f.p.Child[pc] = program.Instr{Op: program.OpJump, To: program.Label(pc + 1)}
		}},
		"a further process renames the container": {rule: verify.Settings, exec: func(*compile.ExecInput) {}, forge: func(f *forger) {
			f.insert(f.closes(), sys(unix.SYS_SETHOSTNAME, f.str("other"), num(5)))
		}},
		"a personality that is not asked for": {rule: verify.Settings, forge: first(func(*forger) program.Instr {
			const readImpliesExec = 0x400000
			return sys(unix.SYS_PERSONALITY, num(readImpliesExec))
		})},
		"another personality": {rule: verify.Settings, config: func(in *compile.Input) {
			in.Spec.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32}
		}, forge: change(unix.SYS_PERSONALITY, 0, func(*forger) program.Arg { return num(0x40008) })},
		"a memory policy that is not asked for": {rule: verify.Settings, forge: first(func(f *forger) program.Instr {
			return sys(unix.SYS_SET_MEMPOLICY, num(2), f.words(1).Arg(), num(64))
		})},
		"a scheduler that is not asked for": {rule: verify.Settings, forge: first(func(f *forger) program.Instr {
			return sys(unix.SYS_SCHED_SETATTR, num(0), f.words(48|1<<32, 0, 0, 99, 0, 0, 0).Arg(), num(0))
		})},
		"another scheduler": {rule: verify.Settings, config: func(in *compile.Input) {
			in.Spec.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedBatch}
		}, forge: change(unix.SYS_SCHED_SETATTR, 1, func(f *forger) program.Arg { return f.words(56|1<<32, 0, 99<<32, 0, 0, 0, 0).Arg() })},
		"an I/O priority that is not asked for": {rule: verify.Settings, forge: first(func(*forger) program.Instr {
			return sys(unix.SYS_IOPRIO_SET, num(1), num(0), num(1<<13))
		})},
		"the I/O priority of all processes of a user": {rule: verify.HostWrite, config: func(in *compile.Input) {
			in.Spec.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 4}
		}, forge: change(unix.SYS_IOPRIO_SET, 0, func(*forger) program.Arg { return num(3) })},
		"another OOM score": {rule: verify.ProcWrite, config: scored, forge: func(f *forger) {
			f.p.Child[f.at("process.oomScoreAdj", unix.SYS_WRITE)].Args[1] = f.str("-99")
		}},
		"no OOM score": {rule: verify.Settings, config: scored, forge: func(f *forger) {
			pc := f.at("process.oomScoreAdj", unix.SYS_WRITE)
			f.p.Child[pc] = program.Instr{Op: program.OpJump, To: program.Label(pc + 1)}
		}},
		"a limit that is not asked for": {rule: verify.Rlimits, forge: first(func(f *forger) program.Instr {
			return sys(unix.SYS_PRLIMIT64, num(0), num(unix.RLIMIT_MEMLOCK), f.words(1<<40, 1<<40).Arg(), num(0))
		})},
		"a keyring in place of the caller's": {rule: verify.Keyring, config: func(in *compile.Input) { in.Keyring = "" }, forge: first(func(*forger) program.Instr {
			return sys(unix.SYS_KEYCTL, num(unix.KEYCTL_JOIN_SESSION_KEYRING), num(0))
		})},
	})
}

// TestForgedSignalsAreRefused has a program execute with signals that are blocked or ignored, or
// take a handler.
func TestForgedSignalsAreRefused(t *testing.T) {
	action := func(sig unix.Signal, handler uint64) func(f *forger) {
		return func(f *forger) {
			f.insert(f.closes(), sys(unix.SYS_RT_SIGACTION, num(uint64(sig)), f.words(handler, 0, 0, 0, 0, 0, 0, 0).Arg(), num(0), num(8)))
		}
	}
	forgeries(t, map[string]forgery{
		"signals stay blocked": {rule: verify.Signals, forge: change(unix.SYS_RT_SIGPROCMASK, 1, func(f *forger) program.Arg {
			return f.words(1 << (unix.SIGTERM - 1)).Arg()
		})},
		"one is ignored": {rule: verify.Signals, forge: action(unix.SIGPIPE, 1)},
		"a handler":      {rule: verify.Signals, forge: action(unix.SIGTERM, 0x400000)},
		"the caller's":   {rule: verify.Signals, forge: func(f *forger) { f.e.Ignored = []unix.Signal{unix.SIGPIPE} }},
		"other processors": {rule: verify.Settings, forge: func(f *forger) {
			f.insert(0, sys(unix.SYS_SCHED_SETAFFINITY, num(0), num(1024), f.zero(1024).Arg()))
		}},
		"the caller's processors": {rule: verify.Settings, forge: func(f *forger) {
			pc := f.last(unix.SYS_SCHED_SETAFFINITY)
			f.p.Child[pc] = program.Instr{Op: program.OpJump, To: program.Label(pc + 1)}
		}},
	})
}

// TestForgedKeyringsAreRefused has a program join a session keyring that is not the container's
// alone.
func TestForgedKeyringsAreRefused(t *testing.T) {
	forgeries(t, map[string]forgery{
		"a keyring of another container": {rule: verify.Keyring, forge: func(f *forger) {
			f.p.Child[f.find(0, unix.SYS_KEYCTL)].Args[1] = f.str("_ses.78")
		}},
		"a keyring that all may read": {rule: verify.Keyring, forge: func(f *forger) {
			f.p.Child[f.last(unix.SYS_KEYCTL)].Args[2] = num(0x3f3f3f3f)
		}},
	})
}

func scored(in *compile.Input) {
	score := 100
	in.Spec.Process.OOMScoreAdj = &score
}

// TestForgedParametersAreRefused has a program write parameters of the kernel where they are the
// host's, or for a further process.
func TestForgedParametersAreRefused(t *testing.T) {
	with := func(in *compile.Input) { in.Spec.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"} }
	opened := func(f *forger) (open, write program.Instr) {
		for pc := range f.p.Child {
			off, ok := f.p.Child[pc].Args[1].Addr()
			if path, is := f.p.CString(off); ok && is && f.p.Child[pc].NR == unix.SYS_OPENAT2 && path == "sys/net/ipv4/ip_forward" {
				return f.p.Child[pc], f.p.Child[pc+1]
			}
		}
		f.t.Fatal("no parameter is opened")
		return open, write
	}
	forgeries(t, map[string]forgery{
		"before the network namespace": {rule: verify.ProcWrite, config: with, forge: func(f *forger) {
			open, write := opened(f)
			f.e.CloneFlags &^= unix.CLONE_NEWNET
			c, m := f.reg(-1), f.reg(-1)
			open.Args[0] = val(m)
			f.insert(0, to(c, sys(unix.SYS_FSOPEN, f.str("proc"), num(1))), sys(unix.SYS_FSCONFIG, val(c), num(unix.FSCONFIG_CMD_CREATE), num(0), num(0), num(0)),
				to(m, sys(unix.SYS_FSMOUNT, val(c), num(1), num(0))), open, sys(unix.SYS_UNSHARE, num(unix.CLONE_NEWNET)), write)
		}},
		"by a further process": {rule: verify.ProcWrite, exec: func(in *compile.ExecInput) {
			in.Linux = &specs.Linux{Sysctl: map[string]string{"kernel.msgmax": "1"}}
		}, forge: func(f *forger) {
			c, m, o := f.reg(-1), f.reg(-1), f.reg(-1)
			f.insert(f.closes(), to(c, sys(unix.SYS_FSOPEN, f.str("proc"), num(1))), sys(unix.SYS_FSCONFIG, val(c), num(unix.FSCONFIG_CMD_CREATE), num(0), num(0), num(0)),
				to(m, sys(unix.SYS_FSMOUNT, val(c), num(1), num(0))),
				f.open(o, m, "sys/kernel/msgmax", unix.O_WRONLY|unix.O_CLOEXEC, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_XDEV|unix.RESOLVE_NO_SYMLINKS),
				sys(unix.SYS_WRITE, val(o), f.str("1"), num(1)))
		}},
	})
}

// TestForgedExecutionsAreRefused has a program execute something else than the configuration
// says, or under another filter.
func TestForgedExecutionsAreRefused(t *testing.T) {
	filtered := func(in *compile.Input) {
		in.Spec.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Architectures: []specs.Arch{specs.ArchX86_64},
			Syscalls: []specs.LinuxSyscall{{Names: []string{"read", "write", "execve"}, Action: specs.ActAllow}}}
	}
	strv := func(f *forger, text ...string) program.Arg {
		words := make([]uint64, 0, len(text)+1)
		for _, s := range text {
			off, _ := f.str(s).Addr()
			words = append(words, uint64(off))
		}
		return f.words(append(words, 0)...).Arg()
	}
	forgeries(t, map[string]forgery{
		"other arguments": {rule: verify.Ends, forge: change(unix.SYS_EXECVE, 1, func(f *forger) program.Arg { return strv(f, "sh", "-c", "true") })},
		"no environment":  {rule: verify.Ends, forge: change(unix.SYS_EXECVE, 2, func(f *forger) program.Arg { return strv(f) })},
		"a variable more": {rule: verify.Ends, forge: change(unix.SYS_EXECVE, 2, func(f *forger) program.Arg {
			return strv(f, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm", "HOME=/", "LD_PRELOAD=/x")
		})},
		"a file of the name elsewhere": {rule: verify.Ends, forge: change(unix.SYS_EXECVE, 0, func(f *forger) program.Arg { return f.str("/tmp/sh") })},
		"arguments of a hook": {rule: verify.Ends, config: func(in *compile.Input) {
			in.Spec.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/hook", Args: []string{"hook", "x"}}}}
		}, forge: func(f *forger) {
			f.p.Child[f.find(0, unix.SYS_EXECVE)].Args[1] = strv(f, "hook", "y")
		}},
		"a filter of another content": {rule: verify.FilterLoaded, config: filtered, forge: func(f *forger) {
			head, _ := f.p.Child[f.last(unix.SYS_SECCOMP)].Args[2].Addr()
			code, _ := f.p.Pointer(head + 8)
			const allow = 0x7fff0000
			copy(f.p.Data(code, 8), f.p.Data(uint32(f.words(6|allow<<32).Off), 8))
		}},
		"a filter that ends early": {rule: verify.FilterLoaded, config: filtered, forge: func(f *forger) {
			head, _ := f.p.Child[f.last(unix.SYS_SECCOMP)].Args[2].Addr()
			f.p.Data(head, 1)[0]--
		}},
		"a filter with other flags": {rule: verify.FilterLoaded, config: filtered, forge: func(f *forger) {
			f.p.Child[f.last(unix.SYS_SECCOMP)].Args[1] = num(unix.SECCOMP_FILTER_FLAG_TSYNC)
		}},
	})
}
