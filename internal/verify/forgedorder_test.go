package verify_test

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/id32"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/verify"
)

// message returns the first instruction with an operation and a tag.
func (f *forger) message(op program.Op, tag uint32) int {
	f.t.Helper()
	for pc := range f.p.Child {
		if in := &f.p.Child[pc]; in.Op == op && in.NR == tag {
			return pc
		}
	}
	f.t.Fatalf("no message %#x", tag)
	return 0
}

// skip takes instructions out.
func (f *forger) skip(list ...int) {
	for _, pc := range list {
		f.p.Child[pc] = program.Instr{Op: program.OpJump, To: program.Label(pc + 1)}
	}
}

// unasked takes a barrier out.
func unasked(tag uint32) func(f *forger) {
	return func(f *forger) { f.skip(f.message(program.OpTell, tag), f.message(program.OpWait, tag)) }
}

func started(in *compile.Input) {
	in.Spec.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/one"}, {Path: "/bin/two"}}}
}

// TestForgedBarriersAreRefused has a program go on without what the runtime does meanwhile, or
// tell what is not so.
func TestForgedBarriersAreRefused(t *testing.T) {
	forgeries(t, map[string]forgery{
		"no createRuntime hooks": {rule: verify.Barrier, config: func(in *compile.Input) {
			in.Spec.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/hook"}}}
		}, forge: unasked(compile.Hooks)},
		"no time offsets": {rule: verify.Barrier, config: func(in *compile.Input) {
			in.Spec.Linux.Namespaces = append(in.Spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
			in.Spec.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 5}}
		}, forge: unasked(compile.TimeOffsets)},
		"nobody looks at the namespaces": {rule: verify.Barrier, exec: func(in *compile.ExecInput) { in.Init.Flags &^= unix.CLONE_NEWPID }, forge: unasked(compile.Joined)},
		"set up after it is ready": {rule: verify.Barrier, forge: func(f *forger) {
			f.insert(f.message(program.OpWait, compile.Ready)+1, sys(unix.SYS_UMASK, num(0)))
		}},
		"started before it is ready": {rule: verify.Barrier, forge: func(f *forger) {
			pc := f.last(unix.SYS_READ)
			in := f.p.Child[pc]
			f.skip(pc)
			f.insert(f.message(program.OpTell, compile.Ready), in)
		}},
		"no program is told of": {rule: verify.Message, forge: func(f *forger) { f.skip(f.message(program.OpTell, compile.Executing)) }},
		"a program is told of early": {rule: verify.Message, forge: func(f *forger) {
			pc := f.message(program.OpTell, compile.Executing)
			in := f.p.Child[pc]
			f.skip(pc)
			f.insert(f.message(program.OpTell, compile.Ready), in)
		}},
		"a startContainer hook less": {rule: verify.Ends, config: started, forge: func(f *forger) {
			f.p.Child[f.last(unix.SYS_CLONE)] = program.Instr{Op: program.OpJump, To: program.Label(f.last(unix.SYS_RT_SIGPROCMASK))}
		}},
		"startContainer hooks in another order": {rule: verify.Ends, config: started, forge: func(f *forger) {
			one := f.find(0, unix.SYS_EXECVE)
			two := f.find(one+1, unix.SYS_EXECVE)
			f.p.Child[one].Args, f.p.Child[two].Args = f.p.Child[two].Args, f.p.Child[one].Args
		}},
	})
}

// TestForgedNamesAreRefused has a program make, change or remove what the configuration says
// nothing of.
func TestForgedNamesAreRefused(t *testing.T) {
	in := func(path string, resolve uint64, list func(f *forger, dir program.Reg) program.Instr) func(f *forger) {
		return func(f *forger) {
			_, root := f.attached()
			d := f.reg(0)
			f.insert(f.closes()-1, f.open(d, root, path, opath, resolve), list(f, d))
		}
	}
	mkdir := func(f *forger, dir program.Reg) program.Instr {
		return sys(unix.SYS_MKDIRAT, val(dir), f.str("x"), num(0o755))
	}
	forgeries(t, map[string]forgery{
		"a directory behind a symbolic link": {rule: verify.PathName, forge: in("/srv/data", inRoot, mkdir)},
		"one in another mount than its name's": {rule: verify.PathName, forge: func(f *forger) {
			_, root := f.attached()
			d, e := f.reg(0), f.reg(0)
			f.insert(f.closes()-1, f.open(d, root, "/srv", opath, inRoot), f.open(e, d, "data", opath, inRoot|unix.RESOLVE_NO_XDEV), mkdir(f, e))
		}},
		"a device of the host's disk": {rule: verify.HostInode, forge: in("/dev", plain, func(f *forger, dir program.Reg) program.Instr {
			return sys(unix.SYS_MKNODAT, val(dir), f.str("sda"), num(unix.S_IFBLK|0o600), num(unix.Mkdev(8, 0)))
		})},
		"a device under another's name": {rule: verify.HostInode, forge: in("/dev", plain, func(f *forger, dir program.Reg) program.Instr {
			return ignored(sys(unix.SYS_MKNODAT, val(dir), f.str("null"), num(unix.S_IFCHR|0o600), num(unix.Mkdev(1, 1))))
		})},
		"a file is removed": {rule: verify.PathName, forge: in("/etc", plain, func(f *forger, dir program.Reg) program.Instr {
			return sys(unix.SYS_UNLINKAT, val(dir), f.str("shadow"), num(0))
		})},
		"a file is given away": {rule: verify.PathName, forge: in("/etc", plain, func(f *forger, dir program.Reg) program.Instr {
			return sys(unix.SYS_FCHOWNAT, val(dir), f.str("shadow"), num(1000), num(1000), num(unix.AT_SYMLINK_NOFOLLOW))
		})},
		"the mode of a directory": {rule: verify.PathName, forge: in("/etc", plain, func(f *forger, dir program.Reg) program.Instr {
			return sys(unix.SYS_FCHMODAT, val(dir), f.str("."), num(0o777))
		})},
		"a link that nobody asked for": {rule: verify.PathName, forge: in("/etc", plain, func(f *forger, dir program.Reg) program.Instr {
			return sys(unix.SYS_SYMLINKAT, f.str("/proc/1/root"), val(dir), f.str("x"))
		})},
		"a terminal is another user's": {rule: verify.HostInode, config: func(in *compile.Input) {
			in.Spec.Process.Terminal, in.Spec.Process.User.UID = true, 1000
		}, forge: change(int(id32.Fchown), 1, func(*forger) program.Arg { return num(1001) })},
		"a path of the host that is none of the image": {rule: verify.RootChange, config: func(in *compile.Input) { in.NoPivot = true }, forge: func(f *forger) {
			for pc := range f.p.Child {
				off, ok := f.p.Child[pc].Args[0].Addr()
				if text, _ := f.p.CString(off); ok && f.p.Child[pc].NR == unix.SYS_UMOUNT2 && text == "/proc" {
					f.skip(pc)
					f.p.Child[pc].To = program.Label(f.find(pc, unix.SYS_FCHDIR))
				}
			}
			chroot := f.find(0, unix.SYS_CHROOT) + 1
			look := sys(unix.SYS_STATFS, f.str("/proc"), f.zero(128).Arg())
			look.OnErr, look.Errno, look.To = program.JumpOn, unix.ENOENT, program.Label(chroot+2)
			f.insert(chroot, look, program.Instr{Op: program.OpFail})
		}},
	})
}
