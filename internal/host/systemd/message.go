package systemd

import "errors"

// Types of messages, and the flag of a call that shall not start a service.
//
// Source: D-Bus Specification, "Message Format".
const (
	kindCall   = 1
	kindReturn = 2
	kindError  = 3
	kindSignal = 4

	noAutoStart = 2
)

// Header fields.
const (
	fieldPath = iota + 1
	fieldInterface
	fieldMember
	fieldErrorName
	fieldReplySerial
	fieldDestination
	fieldSender
	fieldSignature
	fieldUnixFds
)

// maxMessage is the size of the largest message that is taken, in bytes: those
// that matter have some hundred.
const maxMessage = 1 << 20

// fixedHeader is the size of the part of a message that all have.
const fixedHeader = 16

var (
	errMalformed = errors.New("malformed D-Bus message")
	errTooLarge  = errors.New("D-Bus message of more than 1 MiB")
)

// method names what a call is for.
type method struct{ destination, path, iface, member string }

// appendCall marshals a method call.
func appendCall(b []byte, serial uint32, m method, args []Value) []byte {
	sig := ""
	body := make([]byte, 0, 1024)
	for i := range args {
		sig += args[i].sig
		body = args[i].appendTo(body)
	}
	msg := make([]byte, 0, 256+len(body))
	msg = append(msg, 'l', kindCall, noAutoStart, 1)
	msg = append32(msg, uint32(len(body)))
	msg = append32(msg, serial)
	msg = append32(msg, 0) // the length of the fields
	field := func(code byte, kind, value string) {
		if value == "" {
			return
		}
		msg = appendSignature(append(pad(msg, 8), code), kind)
		if kind == "g" {
			msg = appendSignature(msg, value)
		} else {
			msg = appendString(msg, value)
		}
	}
	field(fieldPath, "o", m.path)
	field(fieldInterface, "s", m.iface)
	field(fieldMember, "s", m.member)
	field(fieldDestination, "s", m.destination)
	field(fieldSignature, "g", sig)
	append32(msg[:fixedHeader-4], uint32(len(msg)-fixedHeader))
	return append(append(b, pad(msg, 8)...), body...)
}

// message is a message that came in.
type message struct {
	kind                                           byte
	replySerial                                    uint32
	path, iface, member, errorName, sender, typeOf string
	body                                           reader
}

// sizeOf gives the size of the message that begins with b, which has at least
// fixedHeader bytes.
func sizeOf(b []byte) (int, error) {
	if b[0] != 'l' && b[0] != 'B' || b[3] != 1 {
		return 0, errMalformed
	}
	r := reader{b: b[:fixedHeader], off: 4, big: b[0] == 'B'}
	body := uint64(r.uint32())
	r.off = 12
	fields := uint64(r.uint32())
	size := fixedHeader + (fields+7)&^7 + body
	if size > maxMessage {
		return 0, errTooLarge
	}
	return int(size), nil
}

// parse reads the message in b, which has the size that sizeOf told. It keeps b.
func parse(b []byte) (*message, error) {
	r := reader{b: b, big: b[0] == 'B', off: 4}
	m := &message{kind: b[1]}
	body := int(r.uint32())
	serial := r.uint32()
	fields := int(r.uint32())
	r.b = b[:fixedHeader+fields]
	for !r.bad && r.off < len(r.b) {
		r.align(8)
		m.field(&r)
	}
	start := len(b) - body
	if r.bad || serial == 0 || start < len(r.b) || !m.complete() {
		return nil, errMalformed
	}
	m.body = reader{b: b[start:], big: r.big}
	return m, nil
}

// field reads one header field. Unknown ones of a simple type are skipped, as the
// specification wants; there are none of another type.
func (m *message) field(r *reader) {
	code, sig := r.byte(), r.signature()
	text, number := "", uint32(0)
	switch sig {
	case "s", "o":
		text = r.string()
	case "g":
		text = r.signature()
	case "u", "i", "b":
		number = r.uint32()
	case "y":
		r.byte()
	case "n", "q":
		r.align(2)
		r.take(2)
	case "x", "t", "d":
		r.align(8)
		r.take(8)
	default:
		r.bad = true
	}
	want := "s"
	switch code {
	case 0:
		r.bad = true
	case fieldPath:
		want, m.path = "o", text
	case fieldInterface:
		m.iface = text
	case fieldMember:
		m.member = text
	case fieldErrorName:
		m.errorName = text
	case fieldReplySerial:
		want, m.replySerial = "u", number
	case fieldDestination:
	case fieldSender:
		m.sender = text
	case fieldSignature:
		want, m.typeOf = "g", text
	default:
		want = sig
	}
	r.bad = r.bad || sig != want
}

// complete says whether the fields that the kind of message needs are there.
func (m *message) complete() bool {
	switch m.kind {
	case kindCall:
		return m.path != "" && m.member != ""
	case kindReturn:
		return m.replySerial != 0
	case kindError:
		return m.replySerial != 0 && m.errorName != ""
	case kindSignal:
		return m.path != "" && m.iface != "" && m.member != ""
	}
	return m.kind != 0 // unknown kinds are ignored
}

// err gives the error of an error message.
func (m *message) err() error {
	e := &Error{Name: m.errorName}
	if len(m.typeOf) > 0 && m.typeOf[0] == 's' {
		r := m.body
		e.Message = r.string()
	}
	return e
}

// reader unmarshals. What goes over the end, or is not what it should be, sets
// bad and gives a zero.
type reader struct {
	b   []byte // begins at a multiple of 8 of the message
	off int
	big bool // big-endian
	bad bool
}

// take gives the next n bytes, nil where there are not so many.
func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b)-r.off {
		r.bad = true
		return nil
	}
	p := r.b[r.off : r.off+n]
	r.off += n
	return p
}

func (r *reader) align(n int) { r.take((n - r.off%n) % n) }

func (r *reader) byte() byte {
	p := r.take(1)
	if p == nil {
		return 0
	}
	return p[0]
}

func (r *reader) uint32() uint32 {
	r.align(4)
	p := r.take(4)
	switch {
	case p == nil:
		return 0
	case r.big:
		return uint32(p[3]) | uint32(p[2])<<8 | uint32(p[1])<<16 | uint32(p[0])<<24
	}
	return uint32(p[0]) | uint32(p[1])<<8 | uint32(p[2])<<16 | uint32(p[3])<<24
}

// string reads a string or an object path.
func (r *reader) string() string {
	n := r.uint32()
	if n > maxMessage {
		r.bad = true
	}
	return r.text(int(n))
}

func (r *reader) signature() string { return r.text(int(r.byte())) }

// text reads n bytes and the NUL after them.
func (r *reader) text(n int) string {
	p := r.take(n)
	if end := r.take(1); end == nil || end[0] != 0 {
		r.bad = true
	}
	if r.bad {
		return ""
	}
	return string(p)
}
