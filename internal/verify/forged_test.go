package verify_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/template"
	"github.com/hutch-project/hutch/internal/verify"
)

// forger adds instructions to a program that is proven, with memory for what they need.
type forger struct {
	t    *testing.T
	p    *program.Program
	e    *verify.Expect
	room uint32 // memory of the arena that nothing uses
}

// forged returns the program of the default configuration after change, which is taken.
func forged(t *testing.T, change func(in *compile.Input)) *forger {
	t.Helper()
	const pad = "PAD=################################"
	in := &compile.Input{Spec: template.Spec(), Rootfs: "/bundle/rootfs", Bundle: "/bundle", Keyring: "_ses.77", Fifo: true,
		Host: compile.Host{Privileged: true, LastCap: 40, HeldCaps: 1<<41 - 1}}
	in.Spec.Process.Env = append(in.Spec.Process.Env, pad+strings.Repeat("#", 4096))
	if change != nil {
		change(in)
	}
	out, err := compile.Compile(in)
	if err != nil {
		t.Fatal(err)
	}
	f := &forger{t: t, p: out.Program, e: in.Expect(out)}
	f.room = uint32(bytes.Index(f.p.Data(0, f.p.Size()), []byte(pad))+8) &^ 7
	if _, err := verify.Program(f.p, f.e); err != nil {
		explain(t, f.p, err)
	}
	return f
}

// mem makes a copy of b.
func (f *forger) mem(b []byte) program.Mem {
	m := program.Mem{Off: f.room, Len: uint32(len(b))}
	copy(f.p.Data(m.Off, m.Len), b)
	f.room += (m.Len + 7) &^ 7
	return m
}

func (f *forger) str(s string) program.Arg { return f.mem([]byte(s + "\x00")).Arg() }

func (f *forger) reg(v int64) program.Reg {
	return f.mem(binary.NativeEndian.AppendUint64(nil, uint64(v))).Reg(0)
}

// words makes a structure of 64-bit words.
func (f *forger) words(list ...uint64) program.Mem {
	var b []byte
	for _, v := range list {
		b = binary.NativeEndian.AppendUint64(b, v)
	}
	return f.mem(b)
}

func sys(nr int, args ...program.Arg) program.Instr {
	in := program.Instr{Op: program.OpSys, NR: uint32(nr), NArgs: uint8(len(args))}
	copy(in.Args[:], args)
	return in
}

func to(r program.Reg, in program.Instr) program.Instr { in.Dst = r; return in }

func ignored(in program.Instr) program.Instr { in.OnErr = program.Next; return in }

// insert puts list before the instruction pc.
func (f *forger) insert(pc int, list ...program.Instr) {
	n := program.Label(len(list))
	for i := range f.p.Child {
		in := &f.p.Child[i]
		if (in.Op == program.OpJump || in.Op == program.OpIf || in.OnErr == program.JumpOn) && int(in.To) > pc {
			in.To += n
		}
	}
	f.p.Child = append(f.p.Child[:pc:pc], append(list, f.p.Child[pc:]...)...)
}

// find returns the first instruction from pc on that makes the call nr.
func (f *forger) find(pc, nr int) int {
	f.t.Helper()
	for ; pc < len(f.p.Child); pc++ {
		if in := &f.p.Child[pc]; in.Op == program.OpSys && in.NR == uint32(nr) {
			return pc
		}
	}
	f.t.Fatalf("no instruction makes the call %d", nr)
	return 0
}

// last returns the last instruction that makes the call nr.
func (f *forger) last(nr int) int {
	f.t.Helper()
	for pc := len(f.p.Child) - 1; pc >= 0; pc-- {
		if in := &f.p.Child[pc]; in.Op == program.OpSys && in.NR == uint32(nr) {
			return pc
		}
	}
	f.t.Fatalf("no instruction makes the call %d", nr)
	return 0
}

// at returns the first instruction of an element that makes the call nr.
func (f *forger) at(element string, nr int) int {
	f.t.Helper()
	for pc := range f.p.Child {
		if in := &f.p.Child[pc]; in.Op == program.OpSys && in.NR == uint32(nr) && f.p.Note(in).Element.String() == element {
			return pc
		}
	}
	f.t.Fatalf("no instruction of %s makes the call %d", element, nr)
	return 0
}

const cwd = -100 // AT_FDCWD

var at = program.Imm(cwd)

func num(v uint64) program.Arg { return program.Imm(v) }

// number gives r any number that is not negative, by lseek.
func (f *forger) number(r program.Reg, v int64) []program.Instr {
	m := f.reg(-1)
	return []program.Instr{to(m, sys(unix.SYS_MEMFD_CREATE, f.str("m"), num(0))), to(r, sys(unix.SYS_LSEEK, program.Val(m), program.Imm(v), num(0)))}
}

func val(r program.Reg) program.Arg { return program.Val(r) }

// closes returns the first instruction of the first closing of descriptors.
func (f *forger) closes() int { return f.find(0, unix.SYS_CLOSE_RANGE) }

// attached returns the place behind the attachment of the root, whose register is root.
func (f *forger) attached() (pc int, root program.Reg) {
	pc = f.find(0, unix.SYS_MOVE_MOUNT)
	root, _ = f.p.Child[pc].Args[0].Reg()
	return pc + 1, root
}

// how makes struct open_how.
func (f *forger) how(flags, resolve uint64) program.Mem { return f.words(flags, 0, resolve) }

const (
	inRoot = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS
	plain  = inRoot | unix.RESOLVE_NO_SYMLINKS
	opath  = unix.O_PATH | unix.O_CLOEXEC
	empty  = unix.AT_EMPTY_PATH
)

// open opens a path below dir.
func (f *forger) open(r, dir program.Reg, path string, flags, resolve uint64) program.Instr {
	return to(r, sys(unix.SYS_OPENAT2, val(dir), f.str(path), f.how(flags, resolve).Arg(), num(24)))
}

// host opens a path of the host.
func (f *forger) host(r program.Reg, path string) program.Instr {
	return to(r, sys(unix.SYS_OPENAT, at, f.str(path), num(unix.O_RDONLY|unix.O_CLOEXEC)))
}

// move attaches the mount r on the file at.
func (f *forger) move(r, at program.Reg) program.Instr {
	return sys(unix.SYS_MOVE_MOUNT, val(r), f.str(""), val(at), f.str(""), num(unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH))
}

// fs makes a file system.
func (f *forger) fs(r program.Reg, typ string) []program.Instr {
	c := f.reg(-1)
	return []program.Instr{to(c, sys(unix.SYS_FSOPEN, f.str(typ), num(1))), sys(unix.SYS_FSCONFIG, val(c), num(unix.FSCONFIG_CMD_CREATE), num(0), num(0), num(0)),
		to(r, sys(unix.SYS_FSMOUNT, val(c), num(1), num(0)))}
}

// TestForgedProgramsAreRefused adds to a program what breaks a rule where nothing but the
// verifier would notice.
func TestForgedProgramsAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		rule   verify.Rule
		config func(in *compile.Input)
		forge  func(f *forger)
	}{
		"flags of a register": {rule: verify.Known, forge: func(f *forger) {
			f.insert(0, to(f.reg(0), sys(unix.SYS_OPENAT, at, f.str("/etc/passwd"), val(f.reg(unix.O_RDWR)))))
		}},
		"a host's file is emptied": {rule: verify.HostWrite, forge: func(f *forger) {
			f.insert(0, to(f.reg(0), sys(unix.SYS_OPENAT, at, f.str("/etc/passwd"), num(unix.O_RDONLY|unix.O_TRUNC))))
		}},
		"a result becomes open_how": {rule: verify.PathResolve, forge: func(f *forger) {
			pc, root := f.attached()
			h := f.how(opath, plain)
			open := to(f.reg(0), sys(unix.SYS_OPENAT2, val(root), f.str("/etc"), h.Arg(), num(24)))
			f.insert(pc, append(f.number(h.Reg(16), 0), open)...)
		}},
		"a result becomes capabilities": {rule: verify.Capset, forge: func(f *forger) {
			pc := f.last(unix.SYS_CAPSET)
			data, _ := f.p.Child[pc].Args[1].Addr()
			f.insert(f.closes(), f.number(program.Reg(data), 1<<21|1<<53)...)
		}},
		"a result becomes a mount's attributes": {rule: verify.MountConfig, forge: func(f *forger) {
			pc, root := f.attached()
			m := f.words(unix.MOUNT_ATTR_NOSUID, 0, 0, 0)
			f.insert(pc, append(f.number(m.Reg(8), unix.MOUNT_ATTR_NODEV), sys(unix.SYS_MOUNT_SETATTR, val(root), f.str(""), num(empty), m.Arg(), num(32)))...)
		}},
		"a result across registers": {rule: verify.Known, forge: func(f *forger) {
			f.insert(0, f.number(f.reg(0)+4, 7)...)
		}},
		"descriptors are marked, not closed": {rule: verify.FdName, forge: func(f *forger) {
			for pc := range f.p.Child {
				if in := &f.p.Child[pc]; in.NR == unix.SYS_CLOSE_RANGE && in.Op == program.OpSys {
					in.Args[2] = num(unix.CLOSE_RANGE_CLOEXEC)
				}
			}
		}},
		"one is opened between the ranges": {rule: verify.FdName, forge: func(f *forger) {
			f.insert(f.closes()+1, to(f.reg(0), sys(unix.SYS_OPENAT2, at, f.str("/etc"), f.how(opath, unix.RESOLVE_NO_MAGICLINKS).Arg(), num(24))))
		}},
		"a bound is read from memory": {rule: verify.FdExec, forge: func(f *forger) {
			lo, _ := f.p.Child[f.closes()].Args[0].Reg()
			m := f.reg(-1)
			f.insert(f.closes(), to(m, sys(unix.SYS_MEMFD_CREATE, f.str("m"), num(0))),
				sys(unix.SYS_READ, val(m), program.Mem{Off: uint32(lo), Len: 8}.Arg(), num(8)))
		}},
		"a host's file in the place of a standard descriptor": {rule: verify.FdUse, forge: func(f *forger) {
			f.insert(f.closes(), sys(unix.SYS_CLOSE, num(0)))
		}},
		"closed twice": {rule: verify.FdUse, forge: func(f *forger) {
			pc, root := f.attached()
			a, b, d := f.reg(0), f.reg(0), f.reg(0)
			f.insert(pc, f.host(a, "/"), sys(unix.SYS_CLOSE, val(a)), f.open(b, root, "/", opath, plain), ignored(sys(unix.SYS_CLOSE, val(a))),
				f.host(d, "/"), sys(unix.SYS_MKDIRAT, val(b), f.str("x"), num(0o755)))
		}},
		"the root is left before the host's tree is unmounted": {rule: verify.MountPath, forge: func(f *forger) {
			_, root := f.attached()
			d := f.reg(0)
			f.insert(f.find(0, unix.SYS_PIVOT_ROOT)+1, f.open(d, root, "/proc", opath, plain), sys(unix.SYS_FCHDIR, val(d)))
		}},
		"a mask is moved away": {rule: verify.MountPath, forge: func(f *forger) {
			_, root := f.attached()
			m, at, other := f.reg(0), f.reg(0), f.reg(0)
			list := append(f.fs(m, "tmpfs"), sys(unix.SYS_MOUNT_SETATTR, val(m), f.str(""), num(empty), f.words(unix.MOUNT_ATTR_RDONLY, 0, 0, 0).Arg(), num(32)),
				f.open(at, root, "/proc/acpi", opath, inRoot), f.open(other, root, "/tmp", opath, inRoot), f.move(m, at), f.move(m, other))
			f.insert(f.at("linux.maskedPaths[0]", unix.SYS_OPENAT2), list...)
		}},
		"a read-only mount becomes writable": {rule: verify.MountConfig, config: func(in *compile.Input) {
			in.Spec.Mounts = append(in.Spec.Mounts, specs.Mount{Destination: "/data", Type: "bind", Source: "/srv", Options: []string{"bind", "ro"}})
		}, forge: func(f *forger) {
			pc := f.last(unix.SYS_MOVE_MOUNT)
			for p := f.find(0, unix.SYS_MOVE_MOUNT); p < len(f.p.Child); p++ {
				if in := &f.p.Child[p]; in.NR == unix.SYS_MOVE_MOUNT && strings.HasPrefix(f.p.Note(in).Element.String(), "mounts[7]") {
					pc = p
				}
			}
			f.insert(pc+1, sys(unix.SYS_MOUNT_SETATTR, f.p.Child[pc].Args[0], f.str(""), num(empty), f.words(0, unix.MOUNT_ATTR_RDONLY, 0, 0).Arg(), num(32)))
		}},
		"it is mounted again, writable": {rule: verify.MountPath, config: func(in *compile.Input) {
			in.Spec.Mounts = append(in.Spec.Mounts, specs.Mount{Destination: "/data", Type: "bind", Source: "/srv", Options: []string{"bind", "ro"}})
		}, forge: func(f *forger) {
			_, root := f.attached()
			d := f.reg(0)
			f.insert(f.find(0, unix.SYS_PIVOT_ROOT)-1, f.open(d, root, "/data", opath, plain), sys(unix.SYS_FCHDIR, val(d)),
				sys(unix.SYS_MOUNT, num(0), f.str("."), num(0), num(unix.MS_REMOUNT), num(0)))
		}},
		"what is masked is looked for elsewhere": {rule: verify.Masked, forge: func(f *forger) {
			m := f.reg(0)
			pc := f.at("linux.maskedPaths[2]", unix.SYS_OPENAT2)
			out := program.Label(0)
			for i := pc; out == 0; i++ {
				if in := &f.p.Child[i]; in.NR == unix.SYS_OPENAT2 && in.OnErr == program.JumpOn {
					out = in.To
				}
			}
			list := append(f.fs(m, "tmpfs"), f.open(f.reg(0), m, "/proc/kcore", opath, inRoot))
			n := len(list)
			f.insert(pc, list...)
			in := &f.p.Child[pc+n-1]
			in.OnErr, in.Errno, in.To = program.JumpOn, unix.ENOENT, out+program.Label(n)
		}},
		"a file is taken for a missing directory": {rule: verify.Masked, forge: func(f *forger) { lookFor(f, "kcore", opath|unix.O_DIRECTORY) }},
		"what is below a file is missing":         {rule: verify.Masked, forge: func(f *forger) { lookFor(f, "kcore/", opath) }},
		"a name leads up":                         {rule: verify.PathResolve, forge: func(f *forger) { lookFor(f, "../proc/kcore", opath) }},
		"a mask in a clone": {rule: verify.Masked, forge: func(f *forger) {
			_, root := f.attached()
			c := f.reg(0)
			pc := f.at("linux.maskedPaths[2]", unix.SYS_OPENAT2)
			f.insert(pc, to(c, sys(unix.SYS_OPEN_TREE, val(root), f.str(""), num(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|empty))))
			for _, i := range [...]int{pc + 1, pc + 5} {
				f.p.Child[i].Args[0], f.p.Child[i].Args[1] = val(c), f.str("/proc/kcore")
			}
		}},
		"another profile is written behind the first": {rule: verify.ProcWrite, config: func(in *compile.Input) {
			in.Spec.Process.SelinuxLabel, in.Host.LSM.SELinux = "a:b:c:s0", true
		}, forge: func(f *forger) {
			for pc := range f.p.Child {
				if in := f.p.Child[pc]; in.Op == program.OpSys && in.NR == unix.SYS_WRITE && strings.Contains(f.p.Note(&in).Element.String(), "selinux") {
					f.insert(pc+1, sys(unix.SYS_PWRITE64, in.Args[0], f.str("a:b:unconfined:s0"), num(17), num(0)))
					return
				}
			}
			f.t.Fatal("no profile is written")
		}},
		"a file is sent into a procfs": {rule: verify.ProcWrite, config: func(in *compile.Input) {
			in.Spec.Process.SelinuxLabel, in.Host.LSM.SELinux = "a:b:c:s0", true
		}, forge: func(f *forger) {
			for pc := range f.p.Child {
				if in := f.p.Child[pc]; in.Op == program.OpSys && in.NR == unix.SYS_WRITE && strings.Contains(f.p.Note(&in).Element.String(), "selinux") {
					m := f.reg(-1)
					f.insert(pc+1, to(m, sys(unix.SYS_MEMFD_CREATE, f.str("m"), num(0))), sys(unix.SYS_SENDFILE, in.Args[0], val(m), num(0), num(9)))
					return
				}
			}
			f.t.Fatal("no profile is written")
		}},
		"a parameter of the kernel is written": {rule: verify.ProcWrite, config: func(in *compile.Input) {
			in.Spec.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"}
		}, forge: func(f *forger) {
			for pc := range f.p.Child {
				in := &f.p.Child[pc]
				off, ok := in.Args[1].Addr()
				if path, is := f.p.CString(off); ok && is && in.NR == unix.SYS_OPENAT2 && path == "sys/net/ipv4/ip_forward" {
					in.Args[1] = f.str("sys/kernel/core_pattern")
					return
				}
			}
			f.t.Fatal("no parameter is opened")
		}},
		"a socket of the host's network": {rule: verify.Namespaces, forge: func(f *forger) {
			f.e.CloneFlags &^= unix.CLONE_NEWNET
			s := f.reg(0)
			f.insert(0, to(s, sys(unix.SYS_SOCKET, num(unix.AF_UNIX), num(unix.SOCK_DGRAM), num(0))), sys(unix.SYS_UNSHARE, num(unix.CLONE_NEWNET)),
				sys(unix.SYS_IOCTL, val(s), num(unix.SIOCSIFFLAGS), f.words(0, 0, 0, 0, 0).Arg()))
		}},
		"limits of another process": {rule: verify.HostWrite, forge: func(f *forger) {
			f.insert(0, sys(unix.SYS_PRLIMIT64, num(1), num(unix.RLIMIT_NOFILE), f.words(1, 1).Arg(), num(0)))
		}},
		"an unmasked procfs elsewhere": {rule: verify.MountConfig, forge: func(f *forger) {
			pc, root := f.attached()
			m, d := f.reg(0), f.reg(0)
			f.insert(pc, append(f.fs(m, "proc"), f.open(d, root, "/srv", opath, plain), f.move(m, d))...)
		}},
		"a file system of the host's disk": {rule: verify.MountConfig, forge: func(f *forger) {
			pc, root := f.attached()
			m, d := f.reg(0), f.reg(0)
			f.insert(pc, append(f.fs(m, "ext4"), f.open(d, root, "/srv", opath, plain), f.move(m, d))...)
		}},
		"the owner of what is bound": {rule: verify.HostInode, config: func(in *compile.Input) {
			in.Spec.Mounts = append(in.Spec.Mounts, specs.Mount{Destination: "/data", Type: "bind", Source: "/srv", Options: []string{"bind"}})
		}, forge: func(f *forger) {
			pc := f.last(unix.SYS_MOVE_MOUNT)
			for p := range f.p.Child {
				if in := &f.p.Child[p]; in.NR == unix.SYS_MOVE_MOUNT && strings.HasPrefix(f.p.Note(in).Element.String(), "mounts[7]") {
					pc = p
				}
			}
			f.insert(pc+1, sys(unix.SYS_FCHOWNAT, f.p.Child[pc].Args[0], f.str(""), num(1000), num(1000), num(empty)))
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
		"a mount in a covered directory": {rule: verify.MountConfig, config: func(in *compile.Input) {
			in.Spec.Mounts = append(in.Spec.Mounts, specs.Mount{Destination: "/srv", Type: "bind", Source: "/srv", Options: []string{"bind"}},
				specs.Mount{Destination: "/srv/x", Type: "tmpfs", Source: "tmpfs"})
		}, forge: func(f *forger) {
			pc, root := f.attached()
			d := f.reg(0)
			f.insert(pc, f.open(d, root, "/srv/x", opath, plain))
			for pc := f.at("mounts[8]", unix.SYS_MOVE_MOUNT); pc >= 0; pc-- {
				if in := &f.p.Child[pc]; in.NR == unix.SYS_MOVE_MOUNT && f.p.Note(in).Element.String() == "mounts[8]" {
					*in = program.Instr{Op: program.OpJump, To: program.Label(pc + 1)}
					f.insert(pc, sys(unix.SYS_FCHDIR, val(d)), sys(unix.SYS_MOUNT, num(0), f.str("."), f.str("tmpfs"), num(0), num(0)))
					return
				}
			}
		}},
		"the tasks of one cgroup in the place of another's": {rule: verify.Cgroup, config: func(in *compile.Input) {
			in.Tasks = 2
		}, forge: func(f *forger) {
			f.insert(0, sys(unix.SYS_DUP3, val(f.e.Tasks[0]), val(f.e.Tasks[1]), num(0)))
		}},
		"a file of what is bound is emptied": {rule: verify.PathName, config: func(in *compile.Input) {
			in.Spec.Mounts = append(in.Spec.Mounts, specs.Mount{Destination: "/data", Type: "bind", Source: "/srv", Options: []string{"bind"}})
		}, forge: func(f *forger) {
			_, root := f.attached()
			f.insert(f.closes(), f.open(f.reg(0), root, "/data/x", unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC, inRoot))
		}},
		"a user namespace beside the configuration": {rule: verify.Namespaces, forge: func(f *forger) {
			f.insert(0, sys(unix.SYS_UNSHARE, num(unix.CLONE_NEWUSER)))
		}},
		"keys are read": {rule: verify.Known, forge: func(f *forger) {
			f.insert(0, sys(unix.SYS_KEYCTL, num(unix.KEYCTL_READ), num(1), f.zero(64).Arg(), num(64)))
		}},
		"a message that is written by hand": {rule: verify.HostWrite, forge: func(f *forger) {
			f.insert(0, sys(unix.SYS_WRITE, val(f.p.Sync()), f.words(0, 0).Arg(), num(16)))
		}},
		"a device's number is forged": {rule: verify.Stdio, forge: func(f *forger) {
			pc, root := f.attached()
			n, b := f.reg(0), f.zero(256)
			list := []program.Instr{f.open(n, root, "/x", opath, plain)}
			_ = list
			m, o := f.reg(0), f.reg(0)
			list = append(f.fs(m, "tmpfs"), sys(unix.SYS_MOUNT_SETATTR, val(m), f.str(""), num(empty), f.words(unix.MOUNT_ATTR_RDONLY, 0, 0, 0).Arg(), num(32)))
			list = append([]program.Instr{list[0], list[1], list[2], sys(unix.SYS_MKNODAT, val(m), f.str("null"), num(unix.S_IFCHR|0o666), num(uint64(unix.Mkdev(1, 3))))}, list[3:]...)
			list = append(list, f.open(o, m, "null", unix.O_RDWR|unix.O_CLOEXEC, plain), sys(unix.SYS_STATX, val(o), f.str(""), num(empty), num(0x7ff), b.Arg()))
			list = append(list, f.number(b.Reg(128), 1|3<<32)...)
			list = append(list, f.number(b.Reg(24), unix.S_IFCHR<<32)...)
			fail := program.Label(pc + len(list) + 4)
			for _, w := range [...][4]uint64{{28, 2, unix.S_IFMT, unix.S_IFCHR}, {128, 4, ^uint64(0), 1}, {132, 4, ^uint64(0), 3}} {
				list = append(list, program.Instr{Op: program.OpIf, Cmp: program.Ne, Width: uint8(w[1]), To: fail,
					Args: [6]program.Arg{program.Mem{Off: b.Off + uint32(w[0])}.Arg(), num(w[2]), num(w[3])}})
			}
			list = append(list, sys(unix.SYS_DUP3, val(o), num(0), num(0)))
			f.insert(pc, list...)
			for i := pc; i < pc+len(list); i++ {
				if in := &f.p.Child[i]; in.Op == program.OpIf {
					in.To = program.Label(pc + len(list)) // else nothing is put there
				}
			}
		}},
		"the clone goes into another cgroup": {rule: verify.Cgroup, forge: func(f *forger) {
			r := f.reg(0)
			f.insert(f.closes(), to(r, sys(unix.SYS_CLONE3, f.words(unix.CLONE_PARENT|unix.CLONE_INTO_CGROUP, 0, 0, 0, 0, 0, 0, 0).Arg(), num(64))),
				program.Instr{Op: program.OpIf, Cmp: program.Ne, Width: 8, To: program.Label(f.closes()), Args: [6]program.Arg{program.Mem{Off: uint32(r), Len: 8}.Arg(), num(^uint64(0)), num(0)}})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := forged(t, c.config)
			c.forge(f)
			refused(t, f.p, f.e, c.rule)
		})
	}
}

// zero makes n bytes of zeroes.
func (f *forger) zero(n int) program.Mem { return f.mem(make([]byte, n)) }

// lookFor has the program look for what it masks third by another name below /proc.
func lookFor(f *forger, name string, flags uint64) {
	pc := f.at("linux.maskedPaths[2]", unix.SYS_OPENAT2)
	for _, i := range [...]int{pc, pc + 4} {
		f.p.Child[i].Args[1], f.p.Child[i].Args[2] = f.str(name), f.how(flags, inRoot).Arg()
	}
}
