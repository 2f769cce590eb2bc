// Package dbus is a D-Bus client of what a few calls need and no more: without objects
// and without threads, on one unix socket, to the bus or to a peer. Do not use it as a
// general one. It trusts its peer for nothing but the answers: messages are bounded, a
// malformed one ends the connection, and every wait has an end.
//
// Source: the D-Bus Specification.
package dbus

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/seat"
	"github.com/hutch-project/hutch/internal/sys"
)

// ErrTimeout is returned when an operation has not ended within the timeout.
var ErrTimeout = errors.New("no answer")

// Error is an error that the peer has answered with.
type Error struct {
	Name    string // "org.freedesktop.systemd1.UnitExists"
	Message string // for people; may be empty
}

func (e *Error) Error() string {
	if e.Message == "" {
		return e.Name
	}
	return e.Message + " (" + e.Name + ")"
}

// Conn is a connection to one peer. It is not for use by two goroutines at once.
type Conn struct {
	// Signals, which may be nil, is called with each signal that comes in.
	Signals func(*Message)

	fd       sys.FD
	timeout  time.Duration
	in       []byte // read, not yet parsed
	serial   uint32
	posted   []posted // calls that nobody waits for
	deadline time.Time
}

// posted is a call whose answer is of interest only when it is an error.
type posted struct {
	serial uint32
	member string
	failed func() // may be nil
}

// Dial connects to the socket, a path, or "@" and an abstract name, and authenticates.
// To a bus it says hello; the answer to that comes with the first call's. Each operation
// may take timeout, this one included. The caller closes the Conn.
func Dial(socket string, bus bool, timeout time.Duration) (*Conn, error) {
	c := &Conn{timeout: timeout}
	c.Begin()
	if err := c.connect(socket); err != nil {
		return nil, err
	}
	err := c.authenticate()
	if err == nil && bus {
		err = c.Post(BusMethod("Hello"), nil)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// BusMethod returns a method of the bus itself.
func BusMethod(member string) Method {
	return Method{"org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", member}
}

// connect opens a stream to the socket. It gives up at the deadline, even when the peer
// takes no connections.
func (c *Conn) connect(socket string) error {
	number, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	c.fd = sys.Own(number)
	// The time that connect waits for room in the peer's queue: socket(7).
	left := unix.NsecToTimeval(max(time.Until(c.deadline), time.Millisecond).Nanoseconds())
	err = unix.SetsockoptTimeval(number, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &left)
	for err == nil {
		err = unix.Connect(number, &unix.SockaddrUnix{Name: socket})
		if err == nil {
			// After it: one that does not block fails at once where the queue is full.
			err = unix.SetNonblock(number, true)
			break
		}
		if err == unix.EINTR && time.Now().Before(c.deadline) {
			err = nil
		}
	}
	if err == unix.EAGAIN {
		err = fmt.Errorf("%w: its queue of connections is full", ErrTimeout)
	}
	if err != nil {
		c.Close()
	}
	return err
}

// Close ends the connection.
func (c *Conn) Close() { _ = c.fd.Close() }

// Begin starts an operation: its calls have the timeout from now.
func (c *Conn) Begin() { c.deadline = time.Now().Add(c.timeout) }

// SetTimeout sets the timeout of the operations that begin from now on.
func (c *Conn) SetTimeout(timeout time.Duration) { c.timeout = timeout }

// wait waits until the socket is ready for events. The time is looked at first, so that
// a peer that never stops talking has an end too.
func (c *Conn) wait(events int16) error {
	ready := 0
	if time.Now().Before(c.deadline) {
		var err error
		fds := []unix.PollFd{{Fd: int32(c.fd.Int()), Events: events}}
		if ready, err = sys.Poll(fds, c.deadline); err != nil {
			return fmt.Errorf("poll: %w", err)
		}
	}
	if ready == 0 {
		return fmt.Errorf("%w within %v", ErrTimeout, c.timeout)
	}
	return nil
}

func (c *Conn) write(b []byte) error {
	for len(b) > 0 {
		n, err := sys.SendFDs(c.fd.Int(), b)
		switch err {
		case nil:
			b = b[n:]
		case unix.EAGAIN:
			if err := c.wait(unix.POLLOUT); err != nil {
				return err
			}
		default:
			return fmt.Errorf("send: %w", err)
		}
	}
	return nil
}

// read waits for more bytes and appends them to c.in. Descriptors that the peer may send
// along are dropped by the kernel.
func (c *Conn) read() error {
	if c.in == nil {
		c.in = make([]byte, 0, 4096)
	}
	for {
		if err := c.wait(unix.POLLIN); err != nil {
			return err
		}
		if cap(c.in)-len(c.in) < 1024 {
			c.in = append(make([]byte, 0, 2*cap(c.in)), c.in...)
		}
		n, err := sys.Read(c.fd.Int(), c.in[len(c.in):cap(c.in)])
		switch {
		case err == unix.EAGAIN:
		case err != nil:
			return fmt.Errorf("read: %w", err)
		case n == 0:
			return errors.New("the peer has closed the connection")
		default:
			c.in = c.in[:len(c.in)+n]
			return nil
		}
	}
}

// authenticate does the handshake. The peer takes our identity from the socket's
// credentials, which are right in a user namespace too: there the caller does not
// know the user id that the peer sees. Peers that want to hear it nevertheless
// get the effective user id.
//
// BEGIN goes with the line before it, not with the first message: systemd's own
// socket does not look at a message that it has read together with BEGIN before
// another one comes (seen with systemd 252).
//
// Source: D-Bus Specification, "Authentication Protocol", "EXTERNAL".
func (c *Conn) authenticate() error {
	if err := c.write([]byte("\x00AUTH EXTERNAL\r\n")); err != nil {
		return err
	}
	line, err := c.line()
	if err != nil {
		return err
	}
	if accepted(line) { // older peers do not ask for DATA
		return c.write([]byte("BEGIN\r\n"))
	}
	reply := "DATA"
	if line != "DATA" {
		reply = "AUTH EXTERNAL " + hex.EncodeToString([]byte(strconv.Itoa(seat.OutsideUID())))
	}
	if err := c.write([]byte(reply + "\r\nBEGIN\r\n")); err != nil {
		return err
	}
	if line, err = c.line(); err != nil {
		return err
	}
	if !accepted(line) {
		return fmt.Errorf("authentication as user %d: the peer answers %q", seat.OutsideUID(), line)
	}
	return nil
}

func accepted(line string) bool { return line == "OK" || len(line) > 3 && line[:3] == "OK " }

// line reads a line of the handshake, which ends with CR and LF.
func (c *Conn) line() (string, error) {
	const longest = 512
	for {
		for i := 1; i < len(c.in) && i < longest; i++ {
			if c.in[i-1] == '\r' && c.in[i] == '\n' {
				text := string(c.in[:i-1])
				c.in = c.in[:copy(c.in, c.in[i+1:])]
				return text, nil
			}
		}
		if len(c.in) >= longest {
			return "", errors.New("authentication: the peer does not speak D-Bus")
		}
		if err := c.read(); err != nil {
			return "", err
		}
	}
}

// next returns the next message.
func (c *Conn) next() (*Message, error) {
	for {
		if len(c.in) >= FixedHeader {
			size, err := Size(c.in)
			if err != nil {
				return nil, err
			}
			if len(c.in) >= size {
				m, err := Parse(append([]byte(nil), c.in[:size]...))
				c.in = c.in[:copy(c.in, c.in[size:])]
				return m, err
			}
		}
		if err := c.read(); err != nil {
			return nil, err
		}
	}
}

// send sends a call and returns its serial number.
func (c *Conn) send(m Method, args []Value) (uint32, error) {
	c.serial++
	call := Message{
		Kind: Call, Serial: c.serial,
		Destination: m.Destination, Path: m.Path, Interface: m.Interface, Member: m.Member,
	}
	return c.serial, c.write(call.Append(nil, args...))
}

// Post sends a call and does not wait: should it fail, the next call does, after failed,
// which may be nil, has been called.
func (c *Conn) Post(m Method, failed func(), args ...Value) error {
	serial, err := c.send(m, args)
	c.posted = append(c.posted, posted{serial, m.Member, failed})
	return err
}

// Call sends a call and waits for the answer.
func (c *Conn) Call(m Method, args ...Value) (*Message, error) {
	serial, err := c.send(m, args)
	if err != nil {
		return nil, err
	}
	for {
		answer, err := c.Receive()
		if err != nil {
			return nil, err
		}
		switch {
		case answer.ReplySerial != serial: // late, of an operation that was given up, or a signal
		case answer.Kind == Failure:
			return nil, answer.err()
		case answer.Kind == Return:
			return answer, nil
		}
	}
}

// Receive waits for a message and returns it, when Signals has had it or it has turned
// out not to be the failure of a posted call.
func (c *Conn) Receive() (*Message, error) {
	msg, err := c.next()
	if err != nil {
		return nil, err
	}
	switch msg.Kind {
	case Signal:
		if c.Signals != nil {
			c.Signals(msg)
		}
	case Return, Failure:
		if err := c.unwaited(msg); err != nil {
			return nil, err
		}
	}
	return msg, nil
}

// unwaited takes the answer to a posted call.
func (c *Conn) unwaited(answer *Message) error {
	for i, p := range c.posted {
		if p.serial != answer.ReplySerial {
			continue
		}
		c.posted = append(c.posted[:i], c.posted[i+1:]...)
		if answer.Kind == Failure {
			if p.failed != nil {
				p.failed()
			}
			return fmt.Errorf("%s: %w", p.member, answer.err())
		}
		break
	}
	return nil
}
