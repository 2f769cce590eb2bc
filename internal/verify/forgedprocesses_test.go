package verify_test

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/verify"
)

// TestForgedProcessesAreRefused has a program that is in other namespaces, or has other powers,
// than the configuration says.
func TestForgedProcessesAreRefused(t *testing.T) {
	forgeries(t, map[string]forgery{
		"flags of a register": {rule: verify.Known, forge: func(f *forger) {
			f.insert(0, to(f.reg(0), sys(unix.SYS_OPENAT, at, f.str("/etc/passwd"), val(f.reg(unix.O_RDWR)))))
		}},
		"a result becomes capabilities": {rule: verify.Capset, forge: func(f *forger) {
			pc := f.last(unix.SYS_CAPSET)
			data, _ := f.p.Child[pc].Args[1].Addr()
			f.insert(f.closes(), f.number(program.Reg(data), 1<<21|1<<53)...)
		}},
		"a result across registers": {rule: verify.Known, forge: func(f *forger) {
			f.insert(0, f.number(f.reg(0)+4, 7)...)
		}},
		"a socket of the host's network": {rule: verify.Namespaces, forge: func(f *forger) {
			f.e.CloneFlags &^= unix.CLONE_NEWNET
			s := f.reg(0)
			f.insert(0, to(s, sys(unix.SYS_SOCKET, num(unix.AF_UNIX), num(unix.SOCK_DGRAM|unix.SOCK_CLOEXEC), num(0))), sys(unix.SYS_UNSHARE, num(unix.CLONE_NEWNET)),
				sys(unix.SYS_IOCTL, val(s), num(unix.SIOCSIFFLAGS), f.words(0, 0, 0, 0, 0).Arg()))
		}},
		"a namespace is made in the place of one that is joined": {rule: verify.Namespaces, config: func(in *compile.Input) {
			for i := range in.Spec.Linux.Namespaces {
				if n := &in.Spec.Linux.Namespaces[i]; n.Type == specs.NetworkNamespace {
					n.Path = "/run/netns/x"
				}
			}
		}, forge: func(f *forger) {
			pc := f.find(0, unix.SYS_SETNS)
			f.p.Child[pc] = sys(unix.SYS_UNSHARE, num(unix.CLONE_NEWNET))
		}},
		"the tasks of one cgroup in the place of another's": {rule: verify.Cgroup, config: func(in *compile.Input) {
			in.Tasks = 2
		}, forge: func(f *forger) {
			f.insert(0, sys(unix.SYS_DUP3, val(f.e.Tasks[0]), val(f.e.Tasks[1]), num(unix.O_CLOEXEC)))
		}},
		"a user namespace beside the configuration": {rule: verify.Namespaces, forge: func(f *forger) {
			f.insert(0, sys(unix.SYS_UNSHARE, num(unix.CLONE_NEWUSER)))
		}},
		"keys are read": {rule: verify.Known, forge: func(f *forger) {
			f.insert(0, sys(unix.SYS_KEYCTL, num(unix.KEYCTL_READ), num(1), f.zero(64).Arg(), num(64)))
		}},
		"the clone goes into another cgroup": {rule: verify.Cgroup, forge: func(f *forger) {
			r := f.reg(0)
			f.insert(f.closes(), to(r, sys(unix.SYS_CLONE3, f.words(unix.CLONE_PARENT|unix.CLONE_INTO_CGROUP, 0, 0, 0, 0, 0, 0, 0).Arg(), num(64))),
				program.Instr{Op: program.OpIf, Cmp: program.Ne, Width: 8, To: program.Label(f.closes()), Args: [6]program.Arg{program.Mem{Off: uint32(r), Len: 8}.Arg(), num(^uint64(0)), num(0)}})
		}},
	})
}
