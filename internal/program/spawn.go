package program

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/proc"
)

const (
	sysClone3       = unix.SYS_CLONE3
	sysOpenat2      = unix.SYS_OPENAT2
	sysSendmsg      = unix.SYS_SENDMSG
	sysClockGettime = unix.SYS_CLOCK_GETTIME
	clockMonotonic  = unix.CLOCK_MONOTONIC
)

// ErrEnded is returned when the child has closed its socket: it has executed its
// last instruction, or has ended without a report.
var ErrEnded = errors.New("the child has closed its socket")

// Options say how Spawn makes the child.
type Options struct {
	Flags  uint64  // CLONE_NEW* flags
	Cgroup int     // descriptor of the cgroup v2 that the child is born in, -1 for the caller's
	Forker *Forker // thread to fork on, with namespaces made ahead; nil for one of its own
	Trace  bool    // take a time stamp before each instruction

	// Meanwhile is called while the thread forks. It must not start processes.
	Meanwhile func()

	// Fault makes one instruction fail: for tests.
	Fault *Fault
}

// Fault is an instruction that a test makes fail.
type Fault struct {
	Parent bool // in the parent section
	PC     int
	Errno  unix.Errno
}

// Child is a process that runs a program.
type Child struct {
	Pid   int // in the caller's pid namespace
	Pidfd int // owned by the Child until TakePidfd

	p     *Program
	sock  int
	buf   []byte // of receive
	at    int    // where the child may have gone on since its last message
	seen  bool   // the child is where others are, who may take its socket: see awaitAdopted
	trace []byte
}

// Spawn runs p's parent section, makes the child, and closes the descriptors of
// the parent section. The error of an instruction is an *Error.
//
// Source: clone(2); the child's state is as fork.go says.
func Spawn(p *Program, o *Options) (_ *Child, err error) {
	c := &Child{p: p, sock: -1, Pidfd: -1}
	defer func() {
		closeRegs(p, p.fds)
		if err != nil {
			c.Close()
		}
	}()
	if err := p.runParent(o); err != nil {
		return nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socketpair: %w", err)
	}
	defer unix.Close(pair[1])
	p.Set(p.sync, int64(pair[1]))
	p.setClosings()
	c.sock = pair[0]
	m := &machine{arena: base(p.arena), sync: uint32(p.sync), peer: uintptr(pair[0]), size: len(p.arena), n: len(p.Child), fault: -1}
	if len(p.Child) > 0 {
		m.code = unsafe.Pointer(&p.Child[0])
	}
	if o.Fault != nil && !o.Fault.Parent {
		m.fault, m.errno = o.Fault.PC, uintptr(o.Fault.Errno)
	}
	if o.Trace {
		c.trace, err = unix.Mmap(-1, 0, len(p.Child)*16+16, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
		if err != nil {
			return nil, fmt.Errorf("mmap: %w", err)
		}
		m.trace = unsafe.Pointer(&c.trace[0])
	}
	args := &cloneArgs{
		flags:      o.Flags | unix.CLONE_PIDFD | unix.CLONE_CLEAR_SIGHAND,
		exitSignal: uint64(unix.SIGCHLD),
	}
	if o.Cgroup >= 0 {
		args.flags |= unix.CLONE_INTO_CGROUP
		args.cgroup = uint64(o.Cgroup)
	}
	f := o.Forker
	if f == nil {
		f = NewForker(0)
		defer f.Close()
	}
	meanwhile := o.Meanwhile
	if meanwhile == nil {
		meanwhile = func() {}
	}
	c.Pid, c.Pidfd, err = f.clone(args, m, meanwhile)
	runtime.KeepAlive(p)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// runParent makes addresses of the arena's offsets and runs the parent section.
func (p *Program) runParent(o *Options) error {
	b := uintptr(base(p.arena))
	for _, off := range p.relocs {
		putPtr(p.arena, off, getPtr(p.arena, off)+b)
	}
	p.relocs = nil
	m := &machine{arena: base(p.arena)}
	for pc := 0; pc < len(p.Parent); {
		in := &p.Parent[pc]
		var r uintptr
		var e syscall.Errno
		switch {
		case o.Fault != nil && o.Fault.Parent && o.Fault.PC == pc:
			e = o.Fault.Errno
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
	runtime.KeepAlive(p)
	return nil
}

// closeRegs closes descriptors that the parent section opened.
func closeRegs(p *Program, regs []Reg) {
	for _, r := range regs {
		if fd := p.Word(r); fd >= 0 {
			unix.Close(int(fd))
			p.Set(r, -1)
		}
	}
}

// Kept returns the descriptor in r of those that Builder.Keep has left open; it is the
// Child's.
func (c *Child) Kept(r Reg) int { return int(c.p.Word(r)) }

// Event is a message of the child.
type Event struct {
	Tag   uint32
	PC    int
	Value int64
	Data  []byte // of TellData, valid until the next call of Next
	Fd    int    // of TellFd, else -1; owned by the receiver
}

// Next waits for the child's next message. A reported failure is an *Error;
// ErrEnded says that the child will send no more.
//
// Who gets hold of the child may write to its socket, so a message is taken only
// where the program sends it: by the instruction that it names, which must be one
// that the child can have come to since its last message. What it carries is the
// receiver's to prove.
func (c *Child) Next() (Event, error) {
	m, data, fd, err := c.receive()
	if err != nil {
		return Event{}, err
	}
	if err := c.accept(&m, len(data), fd); err != nil {
		if fd >= 0 {
			unix.Close(fd)
		}
		return Event{}, err
	}
	return Event{Tag: m.tag, PC: int(m.pc), Value: m.value, Data: data, Fd: fd}, nil
}

// receive reads one message, with a descriptor or -1.
func (c *Child) receive() (m message, data []byte, fd int, err error) {
	const head = int(unsafe.Sizeof(m))
	if c.buf == nil {
		c.buf = make([]byte, head+MaxData)
	}
	var control [32]byte
	iov := unix.Iovec{Base: &c.buf[0]}
	iov.SetLen(len(c.buf))
	h := unix.Msghdr{Iov: &iov, Control: &control[0]}
	h.SetIovlen(1)
	for {
		if err := c.awaitAdopted(); err != nil {
			return m, nil, -1, err
		}
		h.SetControllen(unix.CmsgLen(4)) // CmsgSpace would have room for a second descriptor
		n, _, errno := unix.Syscall(unix.SYS_RECVMSG, uintptr(c.sock), uintptr(unsafe.Pointer(&h)), unix.MSG_CMSG_CLOEXEC)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.ECONNRESET:
			return m, nil, -1, ErrEnded
		case errno != 0:
			return m, nil, -1, fmt.Errorf("read the child's message: %w", errno)
		}
		fd = received(control[:h.Controllen])
		if int(n) < head {
			if fd >= 0 {
				unix.Close(fd)
			}
			if n > 0 || fd >= 0 {
				return m, nil, -1, errors.New("program: a message without a head: it is not the program's")
			}
			return m, nil, -1, ErrEnded
		}
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&m)), head), c.buf)
		return m, c.buf[head:n], fd, nil
	}
}

// received is the descriptor of a control message, for one of which there is room;
// -1 for none.
func received(control []byte) int {
	head := unix.CmsgLen(0)
	if len(control) < head+4 {
		return -1
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	if h.Level != unix.SOL_SOCKET || h.Type != unix.SCM_RIGHTS {
		return -1
	}
	return int(*(*int32)(unsafe.Pointer(&control[head])))
}

// Reported is the failure that the child has reported before it ended, nil when
// it has not. It does not wait.
func (c *Child) Reported() error {
	for {
		p := []unix.PollFd{{Fd: int32(c.sock), Events: unix.POLLIN}}
		n, err := unix.Poll(p, 0)
		if err == unix.EINTR {
			continue
		}
		if n == 0 || err != nil {
			return nil
		}
		var reported *Error
		e, err := c.Next()
		switch {
		case errors.As(err, &reported):
			return reported
		case err != nil:
			return nil
		case e.Fd >= 0:
			unix.Close(e.Fd)
		}
	}
}

// Cause is what the child has reported, which explains err of a talk with it; err
// itself where it has reported nothing.
func (c *Child) Cause(err error) error {
	if err == nil {
		return nil
	}
	if reported := c.Reported(); reported != nil {
		return reported
	}
	return err
}

// Expect waits for the message tag and returns its value.
func (c *Child) Expect(tag uint32) (int64, error) {
	e, err := c.Next()
	if err == nil && e.Tag != tag {
		err = fmt.Errorf("program: the child is at barrier %d, not at %d", e.Tag, tag)
	}
	return e.Value, err
}

// Send answers a Wait of the child with p, which must have the awaited length.
func (c *Child) Send(p []byte) error {
	for {
		_, err := unix.SendmsgN(c.sock, p, nil, nil, unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("send to the child: %w", err)
		}
		return nil
	}
}

// Release answers a Barrier.
func (c *Child) Release() error { return c.Send([]byte{1}) }

// Adopt makes c follow the process that the message e tells of, a child of the caller
// that the program made by Builder.Clone, in place of the one that Spawn made. The
// former process is reaped.
//
// The pidfd that came along is proven to be that of a child of this process and of
// the number told: whoever forges the message, from inside the container, can have no
// pidfd of another process of the host.
//
// Source: waitid(2), P_PIDFD and ECHILD.
func (c *Child) Adopt(e Event) error {
	if e.Fd < 0 {
		return errors.New("program: a second process was told of without its pidfd")
	}
	pid, err := ownChild(e.Fd)
	if err == nil && (int64(pid) != e.Value || pid == c.Pid) {
		err = fmt.Errorf("it is process %d", pid)
	}
	if err != nil {
		unix.Close(e.Fd)
		return fmt.Errorf("program: process %d is not the second one of the program: %w", e.Value, err)
	}
	old, oldfd := c.Pid, c.Pidfd
	c.Pid, c.Pidfd, c.seen = pid, e.Fd, true
	unix.Close(oldfd)
	for {
		if _, err := unix.Wait4(old, nil, 0, nil); err != unix.EINTR {
			return nil
		}
	}
}

// ownChild returns the number of pidfd's process, which must be a child of this one.
func ownChild(pidfd int) (int, error) {
	for {
		err := unix.Waitid(unix.P_PIDFD, pidfd, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return 0, fmt.Errorf("waitid: %w", err)
		}
	}
	return proc.PidOf(pidfd)
}

// TakePidfd hands the pidfd over to the caller.
func (c *Child) TakePidfd() int {
	fd := c.Pidfd
	c.Pidfd = -1
	return fd
}

// Kill sends SIGKILL and reaps the child.
func (c *Child) Kill() {
	if c.Pidfd >= 0 {
		_ = unix.PidfdSendSignal(c.Pidfd, unix.SIGKILL, nil, 0)
	}
	_, _ = c.Wait()
}

// Wait reaps the child and returns its wait status.
func (c *Child) Wait() (unix.WaitStatus, error) {
	var ws unix.WaitStatus
	for {
		_, err := unix.Wait4(c.Pid, &ws, 0, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return ws, fmt.Errorf("wait for %d: %w", c.Pid, err)
		}
		return ws, nil
	}
}

// HangUp closes the socket. A child that waits for the parent ends.
func (c *Child) HangUp() {
	if c.sock >= 0 {
		unix.Close(c.sock)
		c.sock = -1
	}
}

// Close closes the socket, see HangUp, the pidfd and what was kept.
func (c *Child) Close() {
	closeRegs(c.p, c.p.kept)
	c.HangUp()
	if c.Pidfd >= 0 {
		unix.Close(c.Pidfd)
		c.Pidfd = -1
	}
	if c.trace != nil {
		_ = unix.Munmap(c.trace)
		c.trace = nil
	}
}

// Stamp is the time at which one instruction of the child began.
type Stamp struct {
	PC   int
	Note Note
	Call string
	At   time.Duration // CLOCK_MONOTONIC
}

// Stamps returns the time stamps that a traced child has taken so far, in the
// order of the program; an instruction that ran more than once has its last.
func (c *Child) Stamps() []Stamp {
	var out []Stamp
	for pc := 0; c.trace != nil && pc < len(c.p.Child); pc++ {
		ts := (*unix.Timespec)(unsafe.Pointer(&c.trace[pc*16]))
		if at := time.Duration(ts.Nano()); at != 0 {
			in := &c.p.Child[pc]
			s := Stamp{PC: pc, Note: c.p.Note(in), At: at}
			if in.Op == OpSys {
				s.Call = CallName(uintptr(in.NR))
			}
			out = append(out, s)
		}
	}
	return out
}
