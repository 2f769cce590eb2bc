package spawn

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/proc"
	"github.com/hutch-project/hutch/internal/program"
)

// ErrEnded is returned when the child has closed its socket: it has executed its
// last instruction, or has ended without a report.
var ErrEnded = errors.New("the child has closed its socket")

// Child is a process that runs a program.
type Child struct {
	Pid   int // in the caller's pid namespace
	Pidfd int // owned by the Child until TakePidfd

	p        *program.Program
	follower program.Follower
	sock     int
	buf      []byte // of receive
	adopted  bool   // the child is where others are, who may take its socket: see awaitAdopted
	senders  bool   // the kernel says who has sent a message: see Adopt
	trace    []byte
}

// Kept returns the descriptor in r of those that program.Builder.Keep has left open; it is the
// Child's.
func (c *Child) Kept(r program.Reg) int { return int(c.p.Word(r)) }

// Event is a message of the child.
type Event struct {
	Tag   uint32
	PC    int
	Value int64
	Data  []byte // of TellData, valid until the next call of Next
	Fd    int    // of TellFd, else -1; owned by the receiver

	sender int // by the kernel's word, where the program clones; else 0
}

// Next waits for the child's next message. A reported failure is an *program.Error;
// ErrEnded is returned when the child will send no more.
//
// Who gets hold of the child may write to its socket, so a message is taken only
// where the program sends it: by the instruction that it names, which must be one
// that the child can have come to since its last message. What it carries is the
// receiver's to prove.
func (c *Child) Next() (Event, error) {
	m, data, from, err := c.receive()
	if err != nil {
		return Event{}, err
	}
	fd := from.fd
	if err := c.follower.Accept(&m, len(data), fd >= 0); err != nil {
		if fd >= 0 {
			unix.Close(fd)
		}
		return Event{}, err
	}
	return Event{Tag: m.Tag, PC: int(m.PC), Value: m.Value, Data: data, Fd: fd, sender: from.pid}, nil
}

// seeSenders has the kernel say who sends a message, where the program clones.
//
// Source: unix(7), SO_PASSCRED.
func (c *Child) seeSenders() error {
	if len(c.p.Forks()) == 0 {
		return nil
	}
	c.senders = true
	if err := unix.SetsockoptInt(c.sock, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		return fmt.Errorf("setsockopt SO_PASSCRED: %w", err)
	}
	return nil
}

// attached is what came with a message beside its bytes.
type attached struct {
	fd  int // -1 for none
	pid int // of the sender, 0 where it is not asked for
}

// receive reads one message.
func (c *Child) receive() (m program.Message, data []byte, with attached, err error) {
	const head = int(unsafe.Sizeof(m))
	if c.buf == nil {
		c.buf = make([]byte, head+program.MaxData)
	}
	none := attached{fd: -1}
	var control [64]byte
	room := unix.CmsgLen(4) // CmsgSpace would have room for a second descriptor
	if c.senders {
		room += unix.CmsgSpace(unix.SizeofUcred)
	}
	iov := unix.Iovec{Base: &c.buf[0]}
	iov.SetLen(len(c.buf))
	h := unix.Msghdr{Iov: &iov, Control: &control[0]}
	h.SetIovlen(1)
	for {
		if err := c.awaitAdopted(); err != nil {
			return m, nil, none, err
		}
		h.SetControllen(room)
		n, _, errno := unix.Syscall(unix.SYS_RECVMSG, uintptr(c.sock), uintptr(unsafe.Pointer(&h)), unix.MSG_CMSG_CLOEXEC)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.ECONNRESET:
			// The child has ended without having read an answer, of which one read tells; what
			// it had sent before, such as why it has failed, comes with the next.
			continue
		case errno != 0:
			return m, nil, none, fmt.Errorf("read the child's message: %w", errno)
		}
		with = received(control[:h.Controllen])
		if int(n) < head {
			if with.fd >= 0 {
				unix.Close(with.fd)
			}
			if n > 0 || with.fd >= 0 {
				return m, nil, none, errors.New("program: a message without a head: it is not the program's")
			}
			return m, nil, none, ErrEnded
		}
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&m)), head), c.buf)
		return m, c.buf[head:n], with, nil
	}
}

// received returns what the control messages have: a descriptor, for one of which there is
// room, and the sender's number.
//
// Source: unix(7), SCM_RIGHTS and SCM_CREDENTIALS.
func received(control []byte) attached {
	with := attached{fd: -1}
	head := unix.CmsgLen(0)
	for len(control) >= head+4 {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
		word := int(*(*int32)(unsafe.Pointer(&control[head])))
		switch {
		case h.Level != unix.SOL_SOCKET:
		case h.Type == unix.SCM_RIGHTS:
			with.fd = word
		case h.Type == unix.SCM_CREDENTIALS:
			with.pid = word // the first member of struct ucred
		}
		next := unix.CmsgSpace(int(h.Len) - head)
		if next <= head || next > len(control) {
			break
		}
		control = control[next:]
	}
	return with
}

// Reported returns the failure that the child has reported before it ended, nil when
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
		var reported *program.Error
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

// Cause returns what the child has reported, which explains err of a talk with it; err
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

// TakePidfd returns the pidfd, which is the caller's from then on; -1 when it was taken before.
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

// Wait waits for the child's end, reaps it and returns its wait status. Whoever traces it cannot
// make that last longer, see proc.Wait.
func (c *Child) Wait() (unix.WaitStatus, error) {
	ws, err := proc.Wait(c.Pid, c.Pidfd)
	if err != nil {
		return ws, fmt.Errorf("wait for %d: %w", c.Pid, err)
	}
	return ws, nil
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
	c.p.CloseKept()
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
