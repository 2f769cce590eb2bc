package seccomp

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func ptr(n uint) *uint { return &n }

// deny returns a profile that allows the calls and refuses the others.
func deny(names ...string) *specs.LinuxSeccomp {
	return &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{{Names: names, Action: specs.ActAllow}}}
}

func mustCompile(tb testing.TB, s *specs.LinuxSeccomp, goarch string) *Filter {
	tb.Helper()
	f, err := Compile(s, goarch)
	if err != nil {
		tb.Fatal(err)
	}
	check(tb, f.Program)
	return f
}

// check holds a program to what the kernel wants of one: known instructions, jumps
// inside, a return at the end, not more than 4096.
func check(tb testing.TB, program []unix.SockFilter) {
	tb.Helper()
	if len(program) == 0 || len(program) > maxProgram {
		tb.Fatalf("%d instructions", len(program))
	}
	for pc, i := range program {
		far := 0
		switch i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			if i.K%4 != 0 || i.K >= 64 {
				tb.Errorf("%d: load of %d", pc, i.K)
			}
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, unix.BPF_RET | unix.BPF_K:
		case unix.BPF_JMP | unix.BPF_JA:
			far = int(i.K)
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K, unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			far = int(max(i.Jt, i.Jf))
		default:
			tb.Errorf("%d: instruction %#x", pc, i.Code)
		}
		if pc+1+far >= len(program) && i.Code != unix.BPF_RET|unix.BPF_K {
			tb.Errorf("%d: goes beyond the end", pc)
		}
	}
	if last := program[len(program)-1]; last.Code != unix.BPF_RET|unix.BPF_K {
		tb.Errorf("the last instruction is %#x", last.Code)
	}
}

func TestErrorsNameTheElement(t *testing.T) {
	entry := func(c specs.LinuxSyscall) *specs.LinuxSeccomp {
		s := deny("read")
		s.Syscalls = append(s.Syscalls, c)
		return s
	}
	arg := func(a ...specs.LinuxSeccompArg) *specs.LinuxSeccomp {
		return entry(specs.LinuxSyscall{Names: []string{"write"}, Action: specs.ActAllow, Args: a})
	}
	with := func(change func(*specs.LinuxSeccomp)) *specs.LinuxSeccomp {
		s := deny("read")
		change(s)
		return s
	}
	for _, tt := range []struct {
		name string
		s    *specs.LinuxSeccomp
		want string
	}{
		{"no default action", with(func(s *specs.LinuxSeccomp) { s.DefaultAction = "" }), `linux.seccomp.defaultAction: "" is not known; give one of SCMP_ACT_ALLOW, `},
		{"default errno of an action without", with(func(s *specs.LinuxSeccomp) { s.DefaultAction, s.DefaultErrnoRet = specs.ActKill, ptr(1) }), "linux.seccomp.defaultErrnoRet: SCMP_ACT_KILL carries no errno; leave defaultErrnoRet out"},
		{"default errno too large", with(func(s *specs.LinuxSeccomp) { s.DefaultErrnoRet = ptr(4096) }), "linux.seccomp.defaultErrnoRet: 4096 is not 0..4095"},
		{"action", entry(specs.LinuxSyscall{Names: []string{"write"}, Action: "ALLOW"}), `linux.seccomp.syscalls[1].action: "ALLOW" is not known; give one of `},
		{"errno of allow", entry(specs.LinuxSyscall{Names: []string{"write"}, Action: specs.ActAllow, ErrnoRet: ptr(0)}), "linux.seccomp.syscalls[1].errnoRet: SCMP_ACT_ALLOW carries no errno; leave errnoRet out"},
		{"errno of trace too large", entry(specs.LinuxSyscall{Names: []string{"write"}, Action: specs.ActTrace, ErrnoRet: ptr(1 << 16)}), "linux.seccomp.syscalls[1].errnoRet: 65536 is not 0..65535"},
		{"empty name", entry(specs.LinuxSyscall{Names: []string{"write", ""}, Action: specs.ActAllow}), "linux.seccomp.syscalls[1].names[1]: is empty; give the name of a system call"},
		{"index", arg(specs.LinuxSeccompArg{Op: specs.OpEqualTo}, specs.LinuxSeccompArg{Index: 6, Op: specs.OpEqualTo}), "linux.seccomp.syscalls[1].args[1].index: 6 is not 0..5"},
		{"operator", arg(specs.LinuxSeccompArg{Op: "SCMP_CMP_XX"}), `linux.seccomp.syscalls[1].args[0].op: "SCMP_CMP_XX" is not known; give one of SCMP_CMP_EQ, `},
		{"architecture", with(func(s *specs.LinuxSeccomp) { s.Architectures = []specs.Arch{specs.ArchX86, "x86"} }), `linux.seccomp.architectures[1]: "x86" is not known; give one of `},
		{"byte order", with(func(s *specs.LinuxSeccomp) { s.Architectures = []specs.Arch{specs.ArchS390X} }), "linux.seccomp.architectures[0]: SCMP_ARCH_S390X has another byte order than this kernel's SCMP_ARCH_X86_64"},
		{"flag", with(func(s *specs.LinuxSeccomp) { s.Flags = []specs.LinuxSeccompFlag{"LOG"} }), `linux.seccomp.flags[0]: "LOG" is not known; give one of SECCOMP_FILTER_FLAG_TSYNC, `},
		{"metadata alone", with(func(s *specs.LinuxSeccomp) { s.ListenerMetadata = "x" }), "linux.seccomp.listenerMetadata: is set without linux.seccomp.listenerPath; set both or neither"},
		{"notify without a path", with(func(s *specs.LinuxSeccomp) { s.DefaultAction = specs.ActNotify }), "linux.seccomp.listenerPath: is not set, but the profile has SCMP_ACT_NOTIFY; give the path of the agent's socket"},
		{"contradiction", &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{
			{Names: []string{"write"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Value: 1, Op: specs.OpEqualTo}}},
			{Names: []string{"write"}, Action: specs.ActKill, Args: []specs.LinuxSeccompArg{{Value: 1, Op: specs.OpEqualTo}}},
		}}, "linux.seccomp.syscalls[1].action: differs from that of linux.seccomp.syscalls[0], for the same call and arguments on SCMP_ARCH_X86_64; leave one of the two out"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Compile(tt.s, "amd64"); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
	if _, err := Compile(deny("read"), "sparc64"); err == nil || !strings.Contains(err.Error(), "sparc64") {
		t.Errorf("sparc64: %v", err)
	}
}

// TestRulesWithoutEffectContradictNothing has rules that differ in their verdict
// alone, but behind one that holds whenever they do.
func TestRulesWithoutEffectContradictNothing(t *testing.T) {
	first := specs.LinuxSeccompArg{Index: 0, Value: 1, Op: specs.OpEqualTo}
	last := specs.LinuxSeccompArg{Index: 4, Value: 1, Op: specs.OpNotEqual}
	rule := func(name string, action specs.LinuxSeccompAction, args ...specs.LinuxSeccompArg) specs.LinuxSyscall {
		return specs.LinuxSyscall{Names: []string{name}, Action: action, Args: args}
	}
	for _, c := range []struct {
		name   string
		goarch string
		rules  []specs.LinuxSyscall
		refuse bool
	}{
		{"fewer conditions first", "amd64", []specs.LinuxSyscall{
			rule("write", specs.ActKillProcess, first), rule("write", specs.ActKillProcess, first, last), rule("write", specs.ActAllow, first, last)}, false},
		{"the higher argument first", "amd64", []specs.LinuxSyscall{
			rule("write", specs.ActKillProcess, last), rule("write", specs.ActKillProcess, first, last), rule("write", specs.ActAllow, first, last)}, false},
		{"a multiplexer", "386", []specs.LinuxSyscall{
			rule("socket", specs.ActKillProcess), rule("socket", specs.ActKillProcess, last), rule("socket", specs.ActAllow, last)}, false},
		{"a rule that comes too late", "amd64", []specs.LinuxSyscall{
			rule("write", specs.ActKillProcess, first), rule("write", specs.ActKillProcess, first, last), rule("write", specs.ActAllow, first)}, true},
		{"the lower argument is tried later", "amd64", []specs.LinuxSyscall{
			rule("write", specs.ActKillProcess, first), rule("write", specs.ActKillProcess, last), rule("write", specs.ActAllow, last)}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := Compile(&specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: c.rules}, c.goarch)
			if c.refuse {
				if err == nil || !strings.Contains(err.Error(), "differs from that of") {
					t.Errorf("got %v, want the contradiction told", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			call := &Data{Number: 1, Arch: unix.AUDIT_ARCH_X86_64, Args: [6]uint64{1}}
			if c.goarch == "386" {
				call.Number, call.Arch = slotSocketcall, unix.AUDIT_ARCH_I386
			}
			if got := f.Verdict(call); got != unix.SECCOMP_RET_KILL_PROCESS {
				t.Errorf("got %#x, want the verdict of the rule that is tried first", got)
			}
		})
	}
}

func TestEmptyProfileLoadsNothing(t *testing.T) {
	if f, err := Compile(&specs.LinuxSeccomp{Architectures: []specs.Arch{"?"}}, "amd64"); f != nil || err != nil {
		t.Errorf("got %v, %v", f, err)
	}
}

func TestFlagsAndNotify(t *testing.T) {
	const spec, log, wait = unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, unix.SECCOMP_FILTER_FLAG_LOG, unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	all := []specs.LinuxSeccompFlag{flagTSYNC, specs.LinuxSeccompFlagLog, specs.LinuxSeccompFlagSpecAllow, specs.LinuxSeccompFlagWaitKillableRecv}
	for _, tt := range []struct {
		name   string
		flags  []specs.LinuxSeccompFlag
		notify bool
		want   uint
	}{
		{"absent means speculation", nil, false, spec},
		{"an empty list means none", []specs.LinuxSeccompFlag{}, false, 0},
		{"tsync has no effect", all[:1], false, 0},
		{"waiting is for a listener", all, false, log | spec},
		{"all", all, true, log | spec | wait},
	} {
		s := deny("read")
		s.Flags, s.ListenerPath = tt.flags, "/agent"
		if tt.notify {
			s.Syscalls = append(s.Syscalls, specs.LinuxSyscall{Names: []string{"no_such_call"}, Action: specs.ActNotify})
		}
		if f := mustCompile(t, s, "amd64"); f.Flags != tt.want || f.Notify != tt.notify {
			t.Errorf("%s: flags %#x, notify %t, want %#x, %t", tt.name, f.Flags, f.Notify, tt.want, tt.notify)
		}
	}
}

func TestUnknownNamesAreListed(t *testing.T) {
	s := deny("read", "no_such_call", "breakpoint", "zzz", "no_such_call", "chown32")
	s.Architectures = []specs.Arch{specs.ArchX86}
	if f := mustCompile(t, s, "amd64"); !slices.Equal(f.Unknown, []string{"no_such_call", "breakpoint", "zzz"}) {
		t.Errorf("got %q", f.Unknown)
	}
}

// TestVerdictsOfRules has one row for each rule of how rules meet.
func TestVerdictsOfRules(t *testing.T) {
	one := func(index uint, op specs.LinuxSeccompOperator, value, two uint64) specs.LinuxSeccompArg {
		return specs.LinuxSeccompArg{Index: index, Op: op, Value: value, ValueTwo: two}
	}
	write := func(action specs.LinuxSeccompAction, args ...specs.LinuxSeccompArg) specs.LinuxSyscall {
		return specs.LinuxSyscall{Names: []string{"write"}, Action: action, Args: args}
	}
	const allow, kill, trap, eperm = unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_KILL_PROCESS, unix.SECCOMP_RET_TRAP, unix.SECCOMP_RET_ERRNO | 1
	for _, tt := range []struct {
		name  string
		rules []specs.LinuxSyscall
		args  [3]uint64
		want  uint32
	}{
		{"no rule", nil, [3]uint64{}, eperm},
		{"conditions on different arguments hold together", []specs.LinuxSyscall{write(specs.ActAllow, one(0, specs.OpEqualTo, 1, 0), one(1, specs.OpEqualTo, 2, 0))}, [3]uint64{1, 3}, eperm},
		{"both hold", []specs.LinuxSyscall{write(specs.ActAllow, one(0, specs.OpEqualTo, 1, 0), one(1, specs.OpEqualTo, 2, 0))}, [3]uint64{1, 2}, allow},
		{"conditions on one argument are alternatives", []specs.LinuxSyscall{write(specs.ActAllow, one(0, specs.OpEqualTo, 1, 0), one(0, specs.OpEqualTo, 2, 0))}, [3]uint64{2}, allow},
		{"and so are the others of the entry then", []specs.LinuxSyscall{write(specs.ActAllow, one(0, specs.OpEqualTo, 1, 0), one(0, specs.OpEqualTo, 2, 0), one(1, specs.OpEqualTo, 7, 0))}, [3]uint64{9, 7}, allow},
		{"unconditional beats conditional before it", []specs.LinuxSyscall{write(specs.ActKillProcess, one(0, specs.OpEqualTo, 1, 0)), write(specs.ActAllow)}, [3]uint64{1}, allow},
		{"unconditional beats conditional after it", []specs.LinuxSyscall{write(specs.ActAllow), write(specs.ActKillProcess, one(0, specs.OpEqualTo, 1, 0))}, [3]uint64{1}, allow},
		{"the first unconditional wins", []specs.LinuxSyscall{write(specs.ActAllow), write(specs.ActKillProcess)}, [3]uint64{}, allow},
		{"the default's verdict is no rule", []specs.LinuxSyscall{write(specs.ActErrno), write(specs.ActAllow)}, [3]uint64{}, allow},
		{"conditional with the default's verdict is no rule", []specs.LinuxSyscall{write(specs.ActErrno, one(0, specs.OpEqualTo, 1, 0)), write(specs.ActAllow, one(0, specs.OpLessThan, 5, 0))}, [3]uint64{1}, allow},
		{"equality goes before bounds", []specs.LinuxSyscall{write(specs.ActAllow, one(0, specs.OpGreaterEqual, 1, 0)), write(specs.ActKillProcess, one(0, specs.OpEqualTo, 1, 0))}, [3]uint64{1}, kill},
		{"upper bounds go before lower ones", []specs.LinuxSyscall{write(specs.ActAllow, one(0, specs.OpGreaterEqual, 1, 0)), write(specs.ActKillProcess, one(0, specs.OpLessEqual, 1, 0))}, [3]uint64{1}, kill},
		{"the larger lower bound goes first", []specs.LinuxSyscall{write(specs.ActAllow, one(0, specs.OpGreaterThan, 1, 0)), write(specs.ActKillProcess, one(0, specs.OpGreaterThan, 5, 0))}, [3]uint64{6}, kill},
		{"the higher argument goes first", []specs.LinuxSyscall{write(specs.ActAllow, one(0, specs.OpEqualTo, 1, 0)), write(specs.ActTrap, one(2, specs.OpEqualTo, 1, 0))}, [3]uint64{1, 0, 1}, trap},
		{"fewer conditions go first", []specs.LinuxSyscall{write(specs.ActKillProcess, one(0, specs.OpEqualTo, 1, 0), one(1, specs.OpEqualTo, 1, 0)), write(specs.ActAllow, one(0, specs.OpEqualTo, 1, 0))}, [3]uint64{1, 1}, allow},
		{"the high word counts", []specs.LinuxSyscall{write(specs.ActAllow, one(0, specs.OpEqualTo, 1, 0))}, [3]uint64{1<<32 | 1}, eperm},
		{"masked", []specs.LinuxSyscall{write(specs.ActAllow, one(0, specs.OpMaskedEqual, 1<<40|1<<3, 1<<40))}, [3]uint64{^uint64(1 << 3)}, allow},
		{"masked, value outside of the mask", []specs.LinuxSyscall{write(specs.ActAllow, one(0, specs.OpMaskedEqual, 4, 0xff))}, [3]uint64{4}, allow},
		{"a mask of 0 always holds", []specs.LinuxSyscall{write(specs.ActAllow, one(0, specs.OpMaskedEqual, 0, 7))}, [3]uint64{5}, allow},
	} {
		s := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: tt.rules}
		f := mustCompile(t, s, "amd64")
		d := &Data{Number: 1, Arch: AuditArch("amd64"), Args: [6]uint64{tt.args[0], tt.args[1], tt.args[2]}}
		if got := f.Verdict(d); got != tt.want {
			t.Errorf("%s: args %#x: %#x, want %#x", tt.name, tt.args, got, tt.want)
		}
	}
}

// TestNewerCallsGetENOSYS has the rule of runc's stub on each side of its limits.
func TestNewerCallsGetENOSYS(t *testing.T) {
	const enosys, eperm, kill = unix.SECCOMP_RET_ERRNO | 38, unix.SECCOMP_RET_ERRNO | 1, unix.SECCOMP_RET_KILL_THREAD
	type row struct {
		n    uint32
		want uint32
	}
	verdicts := func(f *Filter, audit uint32, list ...row) {
		t.Helper()
		for _, r := range list {
			if got := f.Verdict(&Data{Number: int32(r.n), Arch: audit}); got != r.want {
				t.Errorf("call %#x of %#x: %#x, want %#x", r.n, audit, got, r.want)
			}
		}
	}
	s := deny("read", "statx") // 0, 332; 383 on x86
	f := mustCompile(t, s, "amd64")
	verdicts(f, unix.AUDIT_ARCH_X86_64, row{331, eperm}, row{332, unix.SECCOMP_RET_ALLOW}, row{333, enosys}, row{0x3fffffff, enosys},
		row{x32Bit, kill}, row{0x7fffffff, kill}, row{0x80000000, enosys}, row{0xbfffffff, enosys}, row{0xc0000000, kill}, row{0xfffffffe, kill}, row{0xffffffff, eperm})
	verdicts(f, unix.AUDIT_ARCH_I386, row{3, kill}, row{500, kill})
	s.Architectures = []specs.Arch{specs.ArchX86, specs.ArchX32}
	f = mustCompile(t, s, "amd64")
	verdicts(f, unix.AUDIT_ARCH_I386, row{382, eperm}, row{383, unix.SECCOMP_RET_ALLOW}, row{384, enosys}, row{0xffffffff, enosys})
	verdicts(f, unix.AUDIT_ARCH_X86_64, row{x32Bit, unix.SECCOMP_RET_ALLOW}, row{x32Bit + 331, eperm}, row{x32Bit + 333, enosys}, row{0xffffffff, enosys})
	for _, action := range []specs.LinuxSeccompAction{specs.ActErrno, specs.ActKill, specs.ActKillProcess, specs.ActTrap} {
		s := deny("read")
		s.DefaultAction = action
		verdicts(mustCompile(t, s, "arm64"), unix.AUDIT_ARCH_AARCH64, row{64, enosys})
	}
	for _, action := range []specs.LinuxSeccompAction{specs.ActAllow, specs.ActLog, specs.ActTrace, specs.ActNotify} {
		s := deny("read")
		s.DefaultAction, s.ListenerPath = action, "/agent"
		want, _ := verdict(action, nil, "", "", "")
		verdicts(mustCompile(t, s, "arm64"), unix.AUDIT_ARCH_AARCH64, row{64, want})
	}
	// A profile without known calls names none that others could be newer than.
	verdicts(mustCompile(t, deny("no_such_call"), "arm64"), unix.AUDIT_ARCH_AARCH64, row{64, eperm})
	verdicts(mustCompile(t, deny("read"), "s390x"), unix.AUDIT_ARCH_S390X, row{0, enosys}, row{1, eperm}, row{3, unix.SECCOMP_RET_ALLOW}, row{4, enosys})
	verdicts(mustCompile(t, deny("read", "set_tls"), "arm"), unix.AUDIT_ARCH_ARM, row{3, unix.SECCOMP_RET_ALLOW}, row{4, enosys},
		row{0x0f0005, unix.SECCOMP_RET_ALLOW}, row{0x0f0002, eperm}, row{0x0f0008, enosys})
	verdicts(mustCompile(t, deny("read"), "mips64le"), unix.AUDIT_ARCH_MIPSEL64, row{0, eperm}, row{4999, eperm}, row{5000, unix.SECCOMP_RET_ALLOW}, row{5001, enosys})
}

// TestLongJumps has so many conditions that jumps go over 255 instructions, up to
// the kernel's limit.
func TestLongJumps(t *testing.T) {
	profile := func(n int) *specs.LinuxSeccomp {
		s := deny()
		for i := range n {
			s.Syscalls = append(s.Syscalls, specs.LinuxSyscall{Names: []string{"write", "ioctl"}, Action: specs.ActTrace, ErrnoRet: ptr(uint(i)),
				Args: []specs.LinuxSeccompArg{{Index: 1, Op: specs.OpEqualTo, Value: uint64(i) << 20}, {Index: 2, Op: specs.OpGreaterThan, Value: uint64(i)}}})
		}
		return s
	}
	const n = 150
	f := mustCompile(t, profile(n), "amd64")
	for i := range n {
		for _, number := range []int32{1, 16} {
			d := &Data{Number: number, Arch: AuditArch("amd64"), Args: [6]uint64{0, uint64(i) << 20, uint64(i) + 1}}
			if got, want := f.Verdict(d), uint32(unix.SECCOMP_RET_TRACE|i); got != want {
				t.Errorf("rule %d of call %d: %#x, want %#x", i, number, got, want)
			}
			d.Args[2]--
			if got, want := f.Verdict(d), uint32(unix.SECCOMP_RET_ERRNO|1); got != want {
				t.Errorf("rule %d of call %d, not met: %#x, want %#x", i, number, got, want)
			}
		}
	}
	_, err := Compile(profile(400), "amd64")
	if want := "the kernel takes 4096"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want an error with %q", err, want)
	}
}

func TestCompileIsDeterministic(t *testing.T) {
	for _, name := range profileNames(t) {
		a, b := mustCompile(t, readProfile(t, name), "amd64"), mustCompile(t, readProfile(t, name), "amd64")
		if fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("%s: two programs", name)
		}
	}
}
