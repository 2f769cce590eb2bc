package dbus

import "errors"

// Kinds of messages.
//
// Source: D-Bus Specification, "Message Format".
const (
	Call    = 1
	Return  = 2
	Failure = 3
	Signal  = 4
)

// noAutoStart is the flag of a call that shall not start a service.
const noAutoStart = 2

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

// FixedHeader is the size of the part of a message that all have, which Size needs.
const FixedHeader = 16

// What can be wrong with a message.
var (
	ErrMalformed = errors.New("malformed D-Bus message")
	ErrTooLarge  = errors.New("D-Bus message of more than 1 MiB")
)

// Method names what a call is for.
type Method struct{ Destination, Path, Interface, Member string }

// Message is a message that came in, or is to be sent.
type Message struct {
	Kind        byte
	Serial      uint32
	ReplySerial uint32 // the serial number of the call that it answers
	Path        string
	Interface   string
	Member      string
	ErrorName   string
	Destination string
	Sender      string
	Signature   string // of the body
	Body        Reader // of a message that came in
}

// Append appends the message with the body args, little-endian, at a multiple of 8.
// Its Signature and Body are not looked at.
func (m *Message) Append(buf []byte, args ...Value) []byte {
	signature := ""
	body := make([]byte, 0, 1024)
	for i := range args {
		signature += args[i].sig
		body = args[i].appendTo(body)
	}
	flags := byte(0)
	if m.Kind == Call {
		flags = noAutoStart
	}
	msg := make([]byte, 0, 256+len(body))
	msg = append(msg, 'l', m.Kind, flags, 1)
	msg = append32(msg, uint32(len(body)))
	msg = append32(msg, m.Serial)
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
	field(fieldPath, "o", m.Path)
	field(fieldInterface, "s", m.Interface)
	field(fieldMember, "s", m.Member)
	field(fieldErrorName, "s", m.ErrorName)
	if m.ReplySerial != 0 {
		msg = append32(appendSignature(append(pad(msg, 8), fieldReplySerial), "u"), m.ReplySerial)
	}
	field(fieldDestination, "s", m.Destination)
	field(fieldSender, "s", m.Sender)
	field(fieldSignature, "g", signature)
	append32(msg[:FixedHeader-4], uint32(len(msg)-FixedHeader))
	return append(append(buf, pad(msg, 8)...), body...)
}

// Size returns the size of the message that begins with b, which has at least
// FixedHeader bytes.
func Size(b []byte) (int, error) {
	if b[0] != 'l' && b[0] != 'B' || b[3] != 1 {
		return 0, ErrMalformed
	}
	r := Reader{b: b[:FixedHeader], off: 4, big: b[0] == 'B'}
	body := uint64(r.Uint32())
	r.off = 12
	fields := uint64(r.Uint32())
	size := FixedHeader + (fields+7)&^7 + body
	if size > maxMessage {
		return 0, ErrTooLarge
	}
	return int(size), nil
}

// Parse reads the message in b, which has the size that Size returned. It keeps b.
func Parse(buf []byte) (*Message, error) {
	r := Reader{b: buf, big: buf[0] == 'B', off: 4}
	msg := &Message{Kind: buf[1]}
	body := int(r.Uint32())
	msg.Serial = r.Uint32()
	fields := int(r.Uint32())
	r.b = buf[:FixedHeader+fields]
	for !r.bad && r.off < len(r.b) {
		r.align(8)
		msg.field(&r)
	}
	start := len(buf) - body
	if r.bad || msg.Serial == 0 || start < len(r.b) || !msg.complete() {
		return nil, ErrMalformed
	}
	msg.Body = Reader{b: buf[start:], big: r.big}
	return msg, nil
}

// field reads one header field. Unknown ones of a simple type are skipped, as the
// specification wants; there are none of another type.
func (m *Message) field(r *Reader) {
	code, sig := r.byte(), r.Signature()
	text, number := "", uint32(0)
	switch sig {
	case "s", "o":
		text = r.String()
	case "g":
		text = r.Signature()
	case "u", "i", "b":
		number = r.Uint32()
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
		want, m.Path = "o", text
	case fieldInterface:
		m.Interface = text
	case fieldMember:
		m.Member = text
	case fieldErrorName:
		m.ErrorName = text
	case fieldReplySerial:
		want, m.ReplySerial = "u", number
	case fieldDestination:
		m.Destination = text
	case fieldSender:
		m.Sender = text
	case fieldSignature:
		want, m.Signature = "g", text
	default:
		want = sig
	}
	r.bad = r.bad || sig != want
}

// complete reports whether the fields that the kind of message needs are there.
func (m *Message) complete() bool {
	switch m.Kind {
	case Call:
		return m.Path != "" && m.Member != ""
	case Return:
		return m.ReplySerial != 0
	case Failure:
		return m.ReplySerial != 0 && m.ErrorName != ""
	case Signal:
		return m.Path != "" && m.Interface != "" && m.Member != ""
	}
	return m.Kind != 0 // unknown kinds are ignored
}

// err returns the error of an error message.
func (m *Message) err() error {
	e := &Error{Name: m.ErrorName}
	if len(m.Signature) > 0 && m.Signature[0] == 's' {
		r := m.Body
		e.Message = r.String()
	}
	return e
}

// Reader unmarshals a body. What goes over the end, or is not what it should be, makes
// Bad true and returns a zero.
type Reader struct {
	b   []byte // begins at a multiple of 8 of the message
	off int
	big bool // big-endian
	bad bool
}

// take returns the next n bytes, nil where there are not so many.
func (r *Reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b)-r.off {
		r.bad = true
		return nil
	}
	p := r.b[r.off : r.off+n]
	r.off += n
	return p
}

func (r *Reader) align(n int) { r.take((n - r.off%n) % n) }

func (r *Reader) byte() byte {
	p := r.take(1)
	if p == nil {
		return 0
	}
	return p[0]
}

// Uint32 returns the next value, a number of type u.
func (r *Reader) Uint32() uint32 {
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

// String reads a string or an object path.
func (r *Reader) String() string {
	n := r.Uint32()
	if n > maxMessage {
		r.bad = true
	}
	return r.text(int(n))
}

// Signature returns the next value, a signature.
func (r *Reader) Signature() string { return r.text(int(r.byte())) }

// text reads n bytes and the NUL after them.
func (r *Reader) text(n int) string {
	p := r.take(n)
	if end := r.take(1); end == nil || end[0] != 0 {
		r.bad = true
	}
	if r.bad {
		return ""
	}
	return string(p)
}

// Bad reports whether something was read that is not there, or is not of that type.
func (r *Reader) Bad() bool { return r.bad }
