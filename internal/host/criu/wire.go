package criu

import "errors"

// The protocol of CRIU is protocol buffers, version 2, of which it uses two wire types:
// varints and bytes. What follows writes and reads those.
//
// Source: protobuf.dev, "Encoding".
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// message is a message that is being written. Fields are written in any order.
type message []byte

func (m *message) varint(v uint64) {
	for v >= 0x80 {
		*m = append(*m, byte(v)|0x80)
		v >>= 7
	}
	*m = append(*m, byte(v))
}

func (m *message) uint(field int, v uint64) {
	m.varint(uint64(field)<<3 | wireVarint)
	m.varint(v)
}

// int writes a negative number as the ten bytes that an int32 has on the wire.
func (m *message) int(field, v int) { m.uint(field, uint64(int64(v))) }

// flag writes an optional boolean, which is false where it is missing.
func (m *message) flag(field int, v bool) {
	if v {
		m.uint(field, 1)
	}
}

func (m *message) bytes(field int, v []byte) {
	m.varint(uint64(field)<<3 | wireBytes)
	m.varint(uint64(len(v)))
	*m = append(*m, v...)
}

func (m *message) string(field int, v string) { m.bytes(field, []byte(v)) }

// text writes an optional string, which is missing where it is empty.
func (m *message) text(field int, v string) {
	if v != "" {
		m.string(field, v)
	}
}

var errWire = errors.New("CRIU's answer is no message of its protocol")

// fields calls f for each field of the message b: n is its number, v the value of a varint,
// data that of bytes. Fields of other types are passed over.
func fields(buf []byte, f func(n int, v uint64, data []byte)) error {
	for len(buf) > 0 {
		tag, rest, err := varint(buf)
		if err != nil {
			return err
		}
		buf = rest
		n := int(tag >> 3)
		switch tag & 7 {
		case wireVarint:
			v, rest, err := varint(buf)
			if err != nil {
				return err
			}
			buf = rest
			f(n, v, nil)
		case wireBytes:
			size, rest, err := varint(buf)
			if err != nil || size > uint64(len(rest)) {
				return errWire
			}
			f(n, 0, rest[:size])
			buf = rest[size:]
		case wireFixed64, wireFixed32:
			size := 8
			if tag&7 == wireFixed32 {
				size = 4
			}
			if len(buf) < size {
				return errWire
			}
			buf = buf[size:]
		default:
			return errWire
		}
	}
	return nil
}

// varint reads the number at the beginning of b.
func varint(b []byte) (v uint64, rest []byte, err error) {
	for i := range b {
		if i == 10 {
			break
		}
		v |= uint64(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return v, b[i+1:], nil
		}
	}
	return 0, nil, errWire
}
