// Package logsocket sends log messages to the daemons that keep a host's log: systemd's
// journal and syslog. Both are written to by one datagram a message, and neither answers.
//
// Source: systemd's documentation "Native Journal Protocol"; syslog(3), RFC 3164; socket(7),
// SO_SNDTIMEO; the fields and the tag are those of crun's --log.
package logsocket

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
)

// Where the daemons listen.
const (
	JournalPath = "/run/systemd/journal/socket"
	SyslogPath  = "/dev/log"
)

// Priority is the urgency of a message.
type Priority int

// Source: syslog(3).
const (
	Error   Priority = 3
	Warning Priority = 4
	Debug   Priority = 7
)

// user is syslog's facility of user processes.
const user = 1 << 3

// maxMessage bounds a message, in bytes: a datagram has to fit the socket's buffer.
const maxMessage = 64 << 10

// sendWait is how long a daemon is waited for that takes nothing: a message is not worth more,
// and a command must come to its end, as delete --force.
var sendWait = 2 * time.Second // a variable for tests

// Socket is connected to a daemon.
type Socket struct {
	fd     int
	stream bool // messages end with a NUL
	form   func(p Priority, text string) string
}

// Journal connects to the journal that listens at path. The messages have the field ID
// with id.
func Journal(path, id string) (*Socket, error) {
	s, err := connect(path)
	if err != nil {
		return nil, fmt.Errorf("the journal: %w", err)
	}
	s.form = func(p Priority, text string) string { return journalMessage(p, id, text) }
	return s, nil
}

// Syslog connects to the syslog daemon that listens at path. The messages have the tag tag.
func Syslog(path, tag string) (*Socket, error) {
	s, err := connect(path)
	if err != nil {
		return nil, fmt.Errorf("syslog: %w", err)
	}
	s.form = func(p Priority, text string) string { return syslogMessage(time.Now(), p, tag, text) }
	return s, nil
}

// connect connects to the socket at path, of datagrams or, as some syslog daemons have, of
// a stream.
func connect(path string) (*Socket, error) {
	var err error
	for _, kind := range [...]int{unix.SOCK_DGRAM, unix.SOCK_STREAM} {
		var fd int
		if fd, err = unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0); err != nil {
			break
		}
		wait := unix.NsecToTimeval(sendWait.Nanoseconds())
		if err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait); err != nil { // of connect, too
			unix.Close(fd)
			break
		}
		if err = sys.Retry(func() error { return unix.Connect(fd, &unix.SockaddrUnix{Name: path}) }); err == nil {
			return &Socket{fd: fd, stream: kind == unix.SOCK_STREAM}, nil
		}
		unix.Close(fd)
		if err != unix.EPROTOTYPE { // another kind of socket listens there
			break
		}
	}
	return nil, fmt.Errorf("connect to %s: %w", path, err)
}

// Send sends a message, of which it cuts off what no datagram could hold.
func (s *Socket) Send(p Priority, text string) error {
	message := s.form(p, text[:min(len(text), maxMessage)])
	if s.stream {
		message += "\x00"
	}
	return sys.Retry(func() error { return unix.Sendto(s.fd, []byte(message), unix.MSG_NOSIGNAL, nil) })
}

// Close closes the socket.
func (s *Socket) Close() error { return unix.Close(s.fd) }

func journalMessage(p Priority, id, text string) string {
	var b strings.Builder
	b.WriteString("PRIORITY=" + strconv.Itoa(int(p)) + "\nSYSLOG_IDENTIFIER=hutch\n")
	field(&b, "ID", id)
	field(&b, "MESSAGE", text)
	return b.String()
}

// field appends a field; a value of several lines has its length before it.
func field(b *strings.Builder, name, value string) {
	if !strings.Contains(value, "\n") {
		b.WriteString(name + "=" + value + "\n")
		return
	}
	b.WriteString(name + "\n")
	b.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(value))))
	b.WriteString(value + "\n")
}

func syslogMessage(now time.Time, p Priority, tag, text string) string {
	return fmt.Sprintf("<%d>%s %s: %s", user|int(p), now.Format(time.Stamp), tag, text)
}
