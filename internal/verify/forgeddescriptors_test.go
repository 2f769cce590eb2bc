package verify_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/verify"
)

// TestForgedDescriptorsAreRefused has a program that keeps, closes or passes on what it may not.
func TestForgedDescriptorsAreRefused(t *testing.T) {
	forgeries(t, map[string]forgery{
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
			f.insert(f.closes(), to(m, sys(unix.SYS_MEMFD_CREATE, f.str("m"), num(unix.MFD_CLOEXEC))),
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
	})
}
