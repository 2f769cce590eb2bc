package systemd

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/seat"
)

// Conn is a connection to one systemd, for the calls about a container. It is
// not for use by two goroutines at once, nor for many units: each one whose job
// is waited for leaves a match rule on the bus, which has room for some hundred.
type Conn struct {
	fd      int
	user    bool
	direct  bool // systemd's own socket: without a bus between
	timeout time.Duration

	in       []byte // read, not yet parsed
	serial   uint32
	posted   []posted // calls that nobody waits for
	deadline time.Time
	what     string // for errors: what the operation is

	watched []string // units whose jobs are told
	jobs    []job    // that have ended, and were not asked for
	version int      // of systemd, 0 when not known yet
}

// posted is a call whose answer is of interest only when it is an error.
type posted struct {
	serial uint32
	what   string
}

// job is what JobRemoved tells.
type job struct{ sender, path, unit, result string }

// connect opens a stream to the socket name; one that begins with "@" is
// abstract. It leaves at deadline, even when the peer takes no connections.
func connect(name string, deadline time.Time) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	// The time that connect waits for room in the peer's queue: socket(7).
	left := unix.NsecToTimeval(max(time.Until(deadline), time.Millisecond).Nanoseconds())
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &left)
	for err == nil {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: name})
		if err == nil {
			err = unix.SetNonblock(fd, true)
			break
		}
		if err == unix.EINTR && time.Now().Before(deadline) {
			err = nil
		}
	}
	if err == unix.EAGAIN {
		err = fmt.Errorf("%w: its queue of connections is full", ErrTimeout)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// Close ends the connection.
func (c *Conn) Close() {
	if c.fd >= 0 {
		unix.Close(c.fd)
		c.fd = -1
	}
}

// begin starts an operation, whose name is for errors.
func (c *Conn) begin(what string) {
	c.what, c.deadline = what, time.Now().Add(c.timeout)
}

// wait waits until the socket is ready for events.
func (c *Conn) wait(events int16) error {
	for {
		left := time.Until(c.deadline)
		if left <= 0 {
			return fmt.Errorf("%w within %v; is systemd overloaded? see systemctl %slist-jobs",
				ErrTimeout, c.timeout, pick(c.user, "--user ", ""))
		}
		fds := []unix.PollFd{{Fd: int32(c.fd), Events: events}}
		n, err := unix.Poll(fds, int((left+time.Millisecond-1)/time.Millisecond))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return fmt.Errorf("poll: %w", err)
		case n > 0:
			return nil
		}
	}
}

func (c *Conn) write(b []byte) error {
	for len(b) > 0 {
		n, err := unix.SendmsgN(c.fd, b, nil, nil, unix.MSG_NOSIGNAL)
		switch err {
		case nil:
			b = b[n:]
		case unix.EINTR:
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

// read waits for more bytes and appends them to c.in. Descriptors that the peer
// may send along are dropped by the kernel.
func (c *Conn) read() error {
	if c.in == nil {
		c.in = make([]byte, 0, 4096)
	}
	for {
		// Before each read, so that a peer that never stops talking ends too.
		if err := c.wait(unix.POLLIN); err != nil {
			return err
		}
		if cap(c.in)-len(c.in) < 1024 {
			c.in = append(make([]byte, 0, 2*cap(c.in)), c.in...)
		}
		n, err := unix.Read(c.fd, c.in[len(c.in):cap(c.in)])
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
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
// are told the effective user id.
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

// next gives the next message.
func (c *Conn) next() (*message, error) {
	for {
		if len(c.in) >= fixedHeader {
			size, err := sizeOf(c.in)
			if err != nil {
				return nil, err
			}
			if len(c.in) >= size {
				m, err := parse(append([]byte(nil), c.in[:size]...))
				c.in = c.in[:copy(c.in, c.in[size:])]
				return m, err
			}
		}
		if err := c.read(); err != nil {
			return nil, err
		}
	}
}

// post sends a call and does not wait: should it fail, the next call does.
func (c *Conn) post(m method, args ...Value) error {
	c.serial++
	c.posted = append(c.posted, posted{c.serial, m.member})
	return c.write(appendCall(nil, c.serial, m, args))
}

// call sends a call and waits for the answer.
func (c *Conn) call(m method, args ...Value) (*message, error) {
	c.serial++
	serial := c.serial
	if err := c.write(appendCall(nil, serial, m, args)); err != nil {
		return nil, err
	}
	for {
		answer, err := c.next()
		if err != nil {
			return nil, err
		}
		switch answer.kind {
		case kindSignal:
			c.signal(answer)
		case kindReturn, kindError:
			if err := c.unwaited(answer); err != nil {
				return nil, err
			}
			if answer.replySerial != serial {
				continue // late, of an operation that was given up
			}
			if answer.kind == kindError {
				return nil, answer.err()
			}
			return answer, nil
		}
	}
}

// unwaited takes the answer to a posted call.
func (c *Conn) unwaited(answer *message) error {
	for i, p := range c.posted {
		if p.serial != answer.replySerial {
			continue
		}
		c.posted = append(c.posted[:i], c.posted[i+1:]...)
		if answer.kind == kindError {
			c.watched = nil // it may have been a match rule
			return fmt.Errorf("%s: %w", p.what, answer.err())
		}
		break
	}
	return nil
}

func pick(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}
