package verify_test

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/template"
	"github.com/hutch-project/hutch/internal/verify"
	"github.com/opencontainers/runtime-spec/specs-go"
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
	f := &forger{t: t}
	in := &compile.Input{Spec: template.Spec(), Rootfs: "/bundle/rootfs", Bundle: "/bundle", Keyring: "_ses.77", Fifo: true,
		Shield: f.makeRoom, Host: compile.Host{Privileged: true, LastCap: 40, HeldCaps: 1<<41 - 1}}
	if change != nil {
		change(in)
	}
	out, err := compile.Compile(in)
	if err != nil {
		t.Fatal(err)
	}
	f.p, f.e = out.Program, in.Expect(out)
	return f.taken()
}

// forgedExec is forged for a further process in a container.
func forgedExec(t *testing.T, change func(in *compile.ExecInput)) *forger {
	t.Helper()
	f := &forger{t: t}
	s := template.Spec()
	s.Process.Terminal = false
	in := &compile.ExecInput{Process: s.Process, Linux: &specs.Linux{}, Keyring: "_ses.77", Serial: 77, OwnKeyring: true, Shield: f.makeRoom,
		Init: namespace.Init{Pid: 77, Pidfd: 9, Flags: unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWPID},
		Host: compile.Host{Privileged: true, LastCap: 40, HeldCaps: 1<<41 - 1}}
	change(in)
	p, tasks, err := compile.Exec(in)
	if err != nil {
		t.Fatal(err)
	}
	f.p, f.e = p, in.Expect(tasks)
	return f.taken()
}

// makeRoom makes memory that nothing of the program uses.
func (f *forger) makeRoom(b *program.Builder) error {
	f.room = b.Zero(8192).Off
	return nil
}

// taken returns f, whose program must be taken.
func (f *forger) taken() *forger {
	f.t.Helper()
	if _, err := verify.Program(f.p, f.e); err != nil {
		explain(f.t, f.p, err)
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
	return []program.Instr{to(m, sys(unix.SYS_MEMFD_CREATE, f.str("m"), num(unix.MFD_CLOEXEC))), to(r, sys(unix.SYS_LSEEK, program.Val(m), program.Imm(v), num(0)))}
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

// forgery is a program that breaks a rule where nothing but the verifier would notice.
type forgery struct {
	rule   verify.Rule
	config func(in *compile.Input)
	exec   func(in *compile.ExecInput) // of a further process, where it is there
	forge  func(f *forger)
}

// change returns a forgery that gives the argument i of the last call nr another value.
func change(nr, i int, arg func(f *forger) program.Arg) func(f *forger) {
	return func(f *forger) { f.p.Child[f.last(nr)].Args[i] = arg(f) }
}

// forgeries adds each of list to a program that is proven, and wants it refused.
func forgeries(t *testing.T, list map[string]forgery) {
	t.Helper()
	for name, c := range list {
		t.Run(name, func(t *testing.T) {
			var f *forger
			if c.exec != nil {
				f = forgedExec(t, c.exec)
			} else {
				f = forged(t, c.config)
			}
			c.forge(f)
			refused(t, f.p, f.e, c.rule)
		})
	}
}

// zero makes n bytes of zeroes.
func (f *forger) zero(n int) program.Mem { return f.mem(make([]byte, n)) }
