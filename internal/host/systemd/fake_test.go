package systemd

import (
	"bufio"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/internal/dbus"
	"github.com/hutch-project/hutch/tests/testwait"
)

func answerBytes(to uint32, sender string, args ...dbus.Value) []byte {
	m := dbus.Message{Kind: dbus.Return, Serial: 99, ReplySerial: to, Sender: sender}
	return m.Append(nil, args...)
}

func errorBytes(to uint32, name, text string) []byte {
	m := dbus.Message{Kind: dbus.Failure, Serial: 99, ReplySerial: to, ErrorName: name, Sender: ":1.0"}
	return m.Append(nil, dbus.String(text))
}

func signalBytes(sender, member string, args ...dbus.Value) []byte {
	m := dbus.Message{Kind: dbus.Signal, Serial: 99, Path: objectPath, Interface: manager, Member: member, Sender: sender}
	return m.Append(nil, args...)
}

func removed(sender, unit, job, result string) []byte {
	return signalBytes(sender, "JobRemoved", dbus.Uint32(1), dbus.ObjectPath(job), dbus.String(unit), dbus.String(result))
}

// peer is a fake bus with systemd on it. answer gives the bytes for a call.
type peer struct {
	t      *testing.T
	path   string
	answer func(m *dbus.Message) []byte
	calls  chan string // members of the calls that came in
}

// newPeer listens until the test ends.
func newPeer(t *testing.T, answer func(m *dbus.Message) []byte) *peer {
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
		head := make([]byte, dbus.FixedHeader)
		if _, err := io.ReadFull(r, head); err != nil {
			return
		}
		size, err := dbus.Size(head)
		if err != nil {
			p.t.Errorf("the client sent %x: %v", head, err)
			return
		}
		b := append(head, make([]byte, size-dbus.FixedHeader)...)
		if _, err := io.ReadFull(r, b[dbus.FixedHeader:]); err != nil {
			return
		}
		m, err := dbus.Parse(b)
		if err != nil {
			p.t.Errorf("the client sent %x: %v", b, err)
			return
		}
		p.calls <- m.Member
		out := p.answer(m)
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

// seen returns the calls so far.
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
