package systemd

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testwait"
)

// reply marshals a message as a peer would send it: little-endian, from the
// header fields that are not empty.
func reply(kind byte, serial, replyTo uint32, fields [][3]string, body []byte) []byte {
	b := append32([]byte{'l', kind, 0, 1}, uint32(len(body)))
	b = append32(append32(b, serial), 0)
	for _, f := range fields { // code, type, value
		b = appendSignature(append(pad(b, 8), f[0][0]), f[1])
		if f[1] == "g" {
			b = appendSignature(b, f[2])
		} else {
			b = appendString(b, f[2])
		}
	}
	if replyTo != 0 {
		b = append32(appendSignature(append(pad(b, 8), fieldReplySerial), "u"), replyTo)
	}
	binary.LittleEndian.PutUint32(b[12:], uint32(len(b)-fixedHeader))
	return append(pad(b, 8), body...)
}

func body(args ...Value) (b []byte) {
	for i := range args {
		b = args[i].appendTo(b)
	}
	return b
}

func answerBytes(to uint32, sender, sig string, args ...Value) []byte {
	return reply(kindReturn, 99, to, [][3]string{{"\x07", "s", sender}, {"\x08", "g", sig}}, body(args...))
}

func errorBytes(to uint32, name, text string) []byte {
	return reply(kindError, 99, to, [][3]string{{"\x04", "s", name}, {"\x07", "s", ":1.0"}, {"\x08", "g", "s"}}, body(String(text)))
}

func signalBytes(sender, member, sig string, b []byte) []byte {
	return reply(kindSignal, 99, 0, [][3]string{{"\x01", "o", objectPath}, {"\x02", "s", manager},
		{"\x03", "s", member}, {"\x07", "s", sender}, {"\x08", "g", sig}}, b)
}

func removed(sender, unit, job, result string) []byte {
	return signalBytes(sender, "JobRemoved", "uoss", body(Uint32(1), Value{sig: "o", text: job}, String(unit), String(result)))
}

// peer is a fake bus with systemd on it. answer gives the bytes for a call.
type peer struct {
	t      *testing.T
	path   string
	answer func(m *message, serial uint32) []byte
	calls  chan string // members of the calls that came in
}

// newPeer listens until the test ends.
func newPeer(t *testing.T, answer func(m *message, serial uint32) []byte) *peer {
	t.Helper()
	p := &peer{t: t, path: filepath.Join(t.TempDir(), "bus"), answer: answer, calls: make(chan string, 100)}
	l, err := net.Listen("unix", p.path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.serve(conn)
			conn.Close()
		}
	}()
	return p
}

func (p *peer) serve(conn net.Conn) {
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch strings.TrimSpace(line) {
		case "\x00AUTH EXTERNAL":
			io.WriteString(conn, "DATA\r\n")
		case "DATA":
			io.WriteString(conn, "OK 0123456789abcdef\r\n")
		case "BEGIN":
			p.messages(conn, r)
			return
		}
	}
}

func (p *peer) messages(conn net.Conn, r io.Reader) {
	for {
		head := make([]byte, fixedHeader)
		if _, err := io.ReadFull(r, head); err != nil {
			return
		}
		size, err := sizeOf(head)
		if err != nil {
			p.t.Errorf("the client sent %x: %v", head, err)
			return
		}
		b := append(head, make([]byte, size-fixedHeader)...)
		if _, err := io.ReadFull(r, b[fixedHeader:]); err != nil {
			return
		}
		m, err := parse(b)
		if err != nil {
			p.t.Errorf("the client sent %x: %v", b, err)
			return
		}
		p.calls <- m.member
		out := p.answer(m, binary.LittleEndian.Uint32(b[8:]))
		if out == nil {
			continue
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// dial connects, with more time than any test has.
func (p *peer) dial() *Conn {
	p.t.Helper()
	c, err := address{p.path, false}.dial(false, testwait.Bound())
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(c.Close)
	return c
}

// seen gives the calls so far.
func (p *peer) seen() (list []string) {
	for {
		select {
		case m := <-p.calls:
			list = append(list, m)
		default:
			return list
		}
	}
}

// listenWithoutRoom makes a socket whose queue of connections is full.
func listenWithoutRoom(t *testing.T, path string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for { // as many as there is room for
		one, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(one) })
		if unix.Connect(one, &unix.SockaddrUnix{Name: path}) != nil {
			return
		}
	}
}
