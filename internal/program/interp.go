package program

// This file is all of Go that runs in the child, between clone3 and execve, as the only thread of a
// copy of the caller's memory; where package spawn has a bare thread, of the program alone, so that
// package-level variables are not there. The scheduler, the heap's locks and the garbage collector
// are in whatever state another thread left them in, or are missing, so nothing here, nor what is
// called from here, may
//
//   - allocate, or let a value escape to the heap,
//   - grow the stack (every function is nosplit; the runtime has poisoned the
//     stack guard, so a mistake ends in a crash and not in a wrong result),
//   - take a lock, use a channel, a map, a defer, an interface or a panic,
//   - write a pointer to the heap (a write barrier may be on),
//   - be instrumented by the race detector.
//
// The only call out of this file is syscall.RawSyscall6. A test checks all this.

import (
	"syscall"
	"unsafe"
)

// tagFailed is the tag of the message that reports an error.
const tagFailed = 0xffffffff

// exitFailed is the status of a child that has reported an error; the reader of
// the report needs no status.
const exitFailed = 1

// maxAgain bounds the tries of openat2 in a tree that is being renamed.
const maxAgain = 1000

// Message is what the child writes: a tag, the index of the instruction, and
// the value told or the errno.
type Message struct {
	Tag, PC uint32
	Value   int64
}

// Machine is what Interpret needs, prepared before the clone by Program.Machine.
type Machine struct {
	code  unsafe.Pointer // *Instr, n of them
	n     int
	arena unsafe.Pointer
	size  int            // of the arena
	sync  uint32         // offset of the register with the socket
	peer  uintptr        // the parent's end of it, which the child closes
	trace unsafe.Pointer // shared array of 16 bytes an instruction, or nil
	fault int            // index of the instruction that a test makes fail, or -1
	errno uintptr        // what it fails with
}

// Interpret runs the program and does not return. It is called in the child, by the
// function that has cloned it.
//
//go:nosplit
//go:norace
func Interpret(m *Machine) {
	// Else the child would keep its own socket open, and wait forever for a parent
	// that has died.
	syscall.RawSyscall6(syscall.SYS_CLOSE, m.peer, 0, 0, 0, 0, 0)
	pc, again := 0, 0
	for {
		if pc >= m.n {
			exit(0)
		}
		in := (*Instr)(unsafe.Add(m.code, uintptr(pc)*unsafe.Sizeof(Instr{})))
		if m.trace != nil {
			syscall.RawSyscall6(sysClockGettime, clockMonotonic, uintptr(unsafe.Add(m.trace, pc*16)), 0, 0, 0, 0)
		}
		if pc == m.fault {
			next := -1
			if in.Op == OpSys {
				next = settle(m, in, pc, 0, m.errno)
			}
			if next < 0 {
				fail(m, pc, m.errno)
			}
			pc = next
			continue
		}
		switch in.Op {
		case OpSys:
			r, e := call(m, in)
			if e == uintptr(syscall.EINTR) {
				continue // all signals are blocked: only a stop and continue of the process
			}
			if e == uintptr(syscall.EAGAIN) && in.NR == sysOpenat2 && again < maxAgain {
				again++ // something was renamed meanwhile: openat2(2), "EAGAIN"
				continue
			}
			next := settle(m, in, pc, r, e)
			if next < 0 {
				fail(m, pc, e)
			}
			pc = next
		case OpJump:
			pc = int(in.To)
		case OpIf:
			pc++
			if compare(m, in) {
				pc = int(in.To)
			}
		case OpTell:
			if !tell(m, in.NR, pc, arg(m, in, 0)) {
				exit(exitFailed) // else the parent would wait for it
			}
			pc++
		case OpTellData, OpTellFd:
			if e := tellMore(m, in, pc); e != 0 {
				fail(m, pc, e)
			}
			pc++
		case OpWait:
			n := arg(m, in, 1)
			r, _, e := syscall.RawSyscall6(syscall.SYS_READ, uintptr(word(m, m.sync)), arg(m, in, 0), n, 0, 0, 0)
			if e == syscall.EINTR {
				continue
			}
			if e != 0 || r != n {
				exit(exitFailed) // the parent has gone, or gives up
			}
			pc++
		case OpClose:
			// Most numbers are of no descriptor. What close says of the others it has closed.
			for fd, last := int(arg(m, in, 0)), int(arg(m, in, 1)); fd <= last; fd++ {
				syscall.RawSyscall6(syscall.SYS_CLOSE, uintptr(fd), 0, 0, 0, 0, 0)
			}
			pc++
		case OpFail:
			fail(m, pc, uintptr(in.Errno))
		case OpExit:
			exit(arg(m, in, 0))
		}
	}
}

// settle stores the result of a call and gives the next instruction, -1 for a
// failure that the program does not handle. To report that is Interpret's: it
// keeps the deepest stack within what nosplit functions may have, also when a fuzz
// target's coverage is counted in them.
//
//go:nosplit
//go:norace
func settle(m *Machine, in *Instr, pc int, r, e uintptr) int {
	if in.Dst != 0 {
		v := int64(r)
		if e != 0 {
			v = -int64(e)
		}
		*(*int64)(unsafe.Add(m.arena, uintptr(in.Dst))) = v
	}
	if e == 0 || in.OnErr == Next {
		return pc + 1
	}
	if in.OnErr == JumpOn && (in.Errno == 0 || uintptr(in.Errno) == e) {
		return int(in.To)
	}
	return -1
}

//go:nosplit
//go:norace
func call(m *Machine, in *Instr) (uintptr, uintptr) {
	r, _, e := syscall.RawSyscall6(uintptr(in.NR), arg(m, in, 0), arg(m, in, 1), arg(m, in, 2), arg(m, in, 3), arg(m, in, 4), arg(m, in, 5))
	return r, uintptr(e)
}

//go:nosplit
//go:norace
func arg(m *Machine, in *Instr, i uintptr) uintptr {
	a := (*Arg)(unsafe.Add(unsafe.Pointer(&in.Args), i*unsafe.Sizeof(Arg{})))
	switch a.kind {
	case ArgAddr:
		return uintptr(m.arena) + uintptr(a.v)
	case ArgReg:
		return uintptr(word(m, uint32(a.v)))
	}
	return uintptr(a.v)
}

//go:nosplit
//go:norace
func word(m *Machine, off uint32) int64 {
	return *(*int64)(unsafe.Add(m.arena, uintptr(off)))
}

//go:nosplit
//go:norace
func compare(m *Machine, in *Instr) bool {
	p := unsafe.Add(m.arena, uintptr(in.Args[0].v))
	var v int64
	switch in.Width {
	case 1:
		v = int64(*(*uint8)(p))
	case 2:
		v = int64(*(*uint16)(p))
	case 4:
		v = int64(*(*uint32)(p))
	default:
		v = *(*int64)(p)
	}
	v &= int64(in.Args[1].v)
	w := int64(in.Args[2].v)
	switch in.Cmp {
	case Eq:
		return v == w
	case Ne:
		return v != w
	case Lt:
		return v < w
	}
	return v >= w
}

// tell reports whether the message was sent, or nobody is there to read it; it is not
// where the configuration's seccomp filter denies write.
//
//go:nosplit
//go:norace
func tell(m *Machine, tag uint32, pc int, v uintptr) bool {
	p := (*Message)(unsafe.Add(m.arena, messageOff))
	p.Tag, p.PC, p.Value = tag, uint32(pc), int64(int(v))
	r, _, e := syscall.RawSyscall6(syscall.SYS_WRITE, uintptr(word(m, m.sync)), uintptr(unsafe.Pointer(p)), unsafe.Sizeof(Message{}), 0, 0, 0)
	return e == 0 && r == unsafe.Sizeof(Message{}) || e == syscall.EPIPE || e == syscall.ECONNRESET
}

// tellMore sends the message of tell with what goes behind it. Its arguments are the
// value, the address of the parts (a more, see builder.go), the descriptor, and the
// number of bytes. Its error is reported: the parent would wait for what
// could not be sent.
//
//go:nosplit
//go:norace
func tellMore(m *Machine, in *Instr, pc int) uintptr {
	p := (*Message)(unsafe.Add(m.arena, messageOff))
	p.Tag, p.PC, p.Value = in.NR, uint32(pc), int64(int(arg(m, in, 0)))
	parts, nr, third := unsafe.Add(m.arena, uintptr(in.Args[1].v)), uintptr(sysSendmsg), uintptr(msgNosignal)
	*(*int32)(unsafe.Add(parts, moreFd)) = int32(arg(m, in, 2))
	if in.Op == OpTellData {
		*(*uintptr)(unsafe.Add(parts, moreLen)) = arg(m, in, 3)
		p.Value = int64(arg(m, in, 3))
		parts, nr, third = unsafe.Add(parts, moreIov), syscall.SYS_WRITEV, 2
	}
	_, _, e := syscall.RawSyscall6(nr, uintptr(word(m, m.sync)), uintptr(parts), third, 0, 0, 0)
	return uintptr(e)
}

//go:nosplit
//go:norace
func fail(m *Machine, pc int, errno uintptr) {
	tell(m, tagFailed, pc, errno)
	exit(exitFailed)
}

// exit ends the child. A filter of the configuration's that denies exit_group has
// an answer for any other call as well, but none for a fault, which ends init of a pid
// namespace, too, and whatever signals are blocked.
//
//go:nosplit
//go:norace
func exit(status uintptr) {
	syscall.RawSyscall6(syscall.SYS_EXIT_GROUP, status, 0, 0, 0, 0, 0)
	*(*uint8)(nil) = 0
}
