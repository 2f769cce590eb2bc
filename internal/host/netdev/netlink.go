package netdev

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
)

// conn is a route netlink socket. It belongs to the network namespace that it was
// made in, whichever its user is in later.
//
// Source: netlink(7), rtnetlink(7).
type conn struct {
	fd  int
	seq uint32
}

func dial() (*conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	// Filters of a dump are obeyed, and errors name the attribute. Both are
	// only better: a kernel without them (before 4.20) tells too much.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	return &conn{fd: fd}, nil
}

// dialIn makes a conn in the network namespace ns.
func dialIn(ns int) (c *conn, err error) {
	err = sys.Apart(func() (err error) {
		if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("setns: %w", err)
		}
		c, err = dial()
		return err
	})
	return c, err
}

func (c *conn) close() { unix.Close(c.fd) }

// message is a netlink message under construction: header, family header,
// attributes.
type message []byte

func newMessage(typ, flags uint16, head []byte) message {
	m := make(message, unix.NLMSG_HDRLEN, 256)
	binary.NativeEndian.PutUint16(m[4:], typ)
	binary.NativeEndian.PutUint16(m[6:], flags|unix.NLM_F_REQUEST)
	return append(m, head...)
}

// attr appends an attribute, padded to four bytes.
func (m message) attr(typ uint16, value []byte) message {
	m = binary.NativeEndian.AppendUint16(m, uint16(unix.SizeofRtAttr+len(value)))
	m = binary.NativeEndian.AppendUint16(m, typ)
	m = append(m, value...)
	for len(m)%4 != 0 {
		m = append(m, 0)
	}
	return m
}

func (m message) attrUint32(typ uint16, v uint32) message {
	return m.attr(typ, binary.NativeEndian.AppendUint32(nil, v))
}

func (m message) attrString(typ uint16, s string) message {
	return m.attr(typ, append([]byte(s), 0))
}

// do sends m and hands the payload of each message of the answer to f, nil for
// none wanted, until the answer's end.
func (c *conn) do(msg message, f func(payload []byte) error) error {
	c.seq++
	binary.NativeEndian.PutUint32(msg, uint32(len(msg)))
	binary.NativeEndian.PutUint32(msg[8:], c.seq)
	if err := c.send(msg); err != nil {
		return err
	}
	dump := binary.NativeEndian.Uint16(msg[6:])&unix.NLM_F_DUMP == unix.NLM_F_DUMP
	var first error
	for {
		buf, err := c.receive()
		if err != nil {
			return err
		}
		for len(buf) >= unix.NLMSG_HDRLEN {
			n := int(binary.NativeEndian.Uint32(buf))
			if n < unix.NLMSG_HDRLEN || n > len(buf) {
				return fmt.Errorf("netlink: a message of %d bytes in %d", n, len(buf))
			}
			typ, seq := binary.NativeEndian.Uint16(buf[4:]), binary.NativeEndian.Uint32(buf[8:])
			body := buf[unix.NLMSG_HDRLEN:n]
			buf = buf[min(len(buf), (n+3)&^3):]
			switch {
			case seq != c.seq:
				continue // the rest of an answer that was given up
			case typ == unix.NLMSG_ERROR || typ == unix.NLMSG_DONE:
				if errno := status(body); errno != 0 {
					return errno
				}
				return first
			}
			if f != nil && first == nil {
				first = f(body)
			}
			if !dump && binary.NativeEndian.Uint16(msg[6:])&unix.NLM_F_ACK == 0 {
				return first
			}
		}
	}
}

// status is the error of an acknowledgement or of a dump's end, 0 for none.
func status(body []byte) unix.Errno {
	if len(body) < 4 {
		return 0
	}
	if n := int32(binary.NativeEndian.Uint32(body)); n < 0 {
		return unix.Errno(-n)
	}
	return 0
}

func (c *conn) send(m message) error {
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if err := sys.Retry(func() error { return unix.Sendto(c.fd, m, 0, kernel) }); err != nil {
		return fmt.Errorf("netlink: send: %w", err)
	}
	return nil
}

// receive reads one datagram, whatever its length.
func (c *conn) receive() ([]byte, error) {
	buf := make([]byte, 32<<10)
	for {
		n, _, flags, from, err := unix.Recvmsg(c.fd, buf, nil, unix.MSG_PEEK|unix.MSG_TRUNC)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, fmt.Errorf("netlink: receive: %w", err)
		case flags&unix.MSG_TRUNC != 0 && n > len(buf):
			buf = make([]byte, n)
			continue
		}
		if n, _, err = unix.Recvfrom(c.fd, buf, 0); err != nil {
			if err == unix.EINTR {
				continue
			}
			return nil, fmt.Errorf("netlink: receive: %w", err)
		}
		if a, ok := from.(*unix.SockaddrNetlink); ok && a.Pid != 0 {
			continue // another process, not the kernel
		}
		return buf[:n], nil
	}
}

// attrs calls f with each attribute of b, without the flags of its type.
func attrs(b []byte, f func(typ uint16, value []byte)) {
	for len(b) >= unix.SizeofRtAttr {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofRtAttr || n > len(b) {
			return
		}
		f(binary.NativeEndian.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[unix.SizeofRtAttr:n])
		b = b[min(len(b), (n+3)&^3):]
	}
}
