package program

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file is what package spawn does with a program in the calling process.

// Numbers for the interpreter that package syscall does not have on each architecture.
const (
	sysOpenat2      = unix.SYS_OPENAT2
	sysSendmsg      = unix.SYS_SENDMSG
	sysClockGettime = unix.SYS_CLOCK_GETTIME
	clockMonotonic  = unix.CLOCK_MONOTONIC
)

// Fault is an instruction that a test makes fail.
type Fault struct {
	Parent bool // in the parent section
	PC     int
	Errno  unix.Errno
}

// RunParent makes addresses of the arena's offsets and runs the parent section. The
// error of an instruction is an *Error. Whoever calls it calls CloseFds in the end.
func (p *Program) RunParent(fault *Fault) error {
	b := uintptr(base(p.arena))
	for _, off := range p.relocs {
		putPtr(p.arena, off, getPtr(p.arena, off)+b)
	}
	p.relocs = nil
	m := &Machine{arena: base(p.arena)}
	for pc := 0; pc < len(p.Parent); {
		in := &p.Parent[pc]
		var r uintptr
		var e syscall.Errno
		switch {
		case fault != nil && fault.Parent && fault.PC == pc:
			e = fault.Errno
			if in.Op != OpSys {
				return failure(p, p.Parent, pc, e)
			}
		case in.Op == OpJump:
			pc = int(in.To)
			continue
		case in.Op == OpIf:
			pc++
			if compare(m, in) {
				pc = int(in.To)
			}
			continue
		case in.Op == OpFail:
			return failure(p, p.Parent, pc, in.Errno)
		case in.Op == OpSys:
			for {
				r, _, e = unix.Syscall6(uintptr(in.NR), arg(m, in, 0), arg(m, in, 1), arg(m, in, 2), arg(m, in, 3), arg(m, in, 4), arg(m, in, 5))
				if e != unix.EINTR {
					break
				}
			}
		default:
			return fmt.Errorf("program: %s stands in the parent section", p.Note(in))
		}
		if in.Dst != 0 {
			v := int64(r)
			if e != 0 {
				v = -int64(e)
			}
			p.Set(in.Dst, v)
		}
		switch {
		case e == 0 || in.OnErr == Next:
			pc++
		case in.OnErr == JumpOn && (in.Errno == 0 || in.Errno == e):
			pc = int(in.To)
		default:
			return failure(p, p.Parent, pc, e)
		}
	}
	runtime.KeepAlive(p) // until here the arena was known by addresses alone
	return nil
}

// Machine makes the program ready to be run by a child whose end of the socket is sock;
// peer is the other one, which the child closes. No descriptor from end on is open. trace has
// room for 16 bytes an instruction, or is nil; fault may be nil. It comes after RunParent.
func (p *Program) Machine(sock, peer, end int, trace unsafe.Pointer, fault *Fault) *Machine {
	p.Set(p.sync, int64(sock))
	p.setClosings(end)
	m := &Machine{
		arena: base(p.arena), sync: uint32(p.sync), peer: uintptr(peer), size: len(p.arena), n: len(p.Child),
		trace: trace, fault: -1,
	}
	if len(p.Child) > 0 {
		m.code = unsafe.Pointer(&p.Child[0])
	}
	if fault != nil && !fault.Parent {
		m.fault, m.errno = fault.PC, uintptr(fault.Errno)
	}
	return m
}

// Range is a range of addresses.
type Range struct{ At, Len uintptr }

// Memory returns all that Interpret needs of the caller's memory: arena, code, and
// trace, which is empty where there is none.
func (m *Machine) Memory() [3]Range {
	r := [...]Range{{uintptr(m.arena), uintptr(m.size)}, {uintptr(m.code), uintptr(m.n) * unsafe.Sizeof(Instr{})}, {}}
	if m.trace != nil {
		r[2] = Range{uintptr(m.trace), uintptr(m.n) * 16}
	}
	return r
}

// CloseFds closes the descriptors that the parent section has opened, but those that
// Builder.Keep has left open.
func (p *Program) CloseFds() { p.closeRegs(p.fds) }

// CloseKept closes those too.
func (p *Program) CloseKept() { p.closeRegs(p.kept) }

func (p *Program) closeRegs(regs []Reg) {
	for _, r := range regs {
		if fd := p.Word(r); fd >= 0 {
			unix.Close(int(fd))
			p.Set(r, -1)
		}
	}
}
