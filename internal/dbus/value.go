package dbus

import (
	"math"
	"strconv"
	"strings"
)

// Value is a D-Bus value of any type but dictionaries and descriptors. The zero
// Value is none and must not be sent.
type Value struct {
	sig   string  // one complete type
	num   uint64  // of y n q i u x t b, sign-extended; the bits of d
	text  string  // of s o g, and the bytes of ay
	items []Value // of a struct, of other arrays, and the one of v
}

// String returns a value of type s.
func String(s string) Value { return Value{sig: "s", text: s} }

// Bool returns a value of type b.
func Bool(b bool) Value {
	v := Value{sig: "b"}
	if b {
		v.num = 1
	}
	return v
}

// Uint32 returns a value of type u.
func Uint32(n uint32) Value { return Value{sig: "u", num: uint64(n)} }

// Uint64 returns a value of type t.
func Uint64(n uint64) Value { return Value{sig: "t", num: n} }

// Bytes returns a value of type ay.
func Bytes(b []byte) Value { return Value{sig: "ay", text: string(b)} }

// Strings returns a value of type as.
func Strings(list ...string) Value {
	v := Value{sig: "as", items: make([]Value, 0, len(list))}
	for _, s := range list {
		v.items = append(v.items, String(s))
	}
	return v
}

// ObjectPath returns a value of type o.
func ObjectPath(path string) Value { return Value{sig: "o", text: path} }

// Variant returns a value of type v that holds v.
func Variant(v Value) Value { return Value{sig: "v", items: []Value{v}} }

// Struct returns a struct of values.
func Struct(items ...Value) Value {
	sig := "("
	for i := range items {
		sig += items[i].sig
	}
	return Value{sig: sig + ")", items: items}
}

// Array returns an array of values of the type element, "(ss)".
func Array(element string, items ...Value) Value {
	return Value{sig: "a" + element, items: items}
}

// Signature returns the type of v, empty for the zero Value.
func (v *Value) Signature() string { return v.sig }

// Bits returns the number of a value of one of the types y n q i u x t b, sign-extended,
// and the bits of a value of type d.
func (v *Value) Bits() uint64 { return v.num }

// Property is a property of an object, by its name.
type Property struct {
	Name  string
	Value Value
}

// String returns the property as busctl and systemd's documentation have it.
func (p Property) String() string { return p.Name + "=" + p.Value.String() }

// Properties returns the value of type a(sv) of a list.
func Properties(list []Property) Value {
	v := Value{sig: "a(sv)", items: make([]Value, len(list))}
	for i, p := range list {
		v.items[i] = Value{sig: "(sv)", items: []Value{String(p.Name), {sig: "v", items: []Value{p.Value}}}}
	}
	return v
}

// alignment of a type, by the first character of its signature.
//
// Source: D-Bus Specification, "Summary of D-Bus marshalling".
func alignment(c byte) int {
	switch c {
	case 'n', 'q':
		return 2
	case 'i', 'u', 'b', 's', 'o', 'a':
		return 4
	case 'x', 't', 'd', '(', '{':
		return 8
	}
	return 1
}

// pad appends zeros up to a multiple of n.
func pad(b []byte, n int) []byte {
	for len(b)%n != 0 {
		b = append(b, 0)
	}
	return b
}

func append32(b []byte, n uint32) []byte {
	return append(pad(b, 4), byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
}

func appendString(b []byte, s string) []byte {
	return append(append(append32(b, uint32(len(s))), s...), 0)
}

func appendSignature(b []byte, s string) []byte {
	return append(append(append(b, byte(len(s))), s...), 0)
}

// appendTo marshals v, little-endian; b begins at a multiple of 8.
func (v *Value) appendTo(buf []byte) []byte {
	switch c := v.sig[0]; c {
	case 's', 'o':
		return appendString(buf, v.text)
	case 'g':
		return appendSignature(buf, v.text)
	case 'v':
		return v.items[0].appendTo(appendSignature(buf, v.items[0].sig))
	case '(':
		return v.appendItems(pad(buf, 8))
	case 'a':
		if v.sig == "ay" {
			return append(append32(buf, uint32(len(v.text))), v.text...)
		}
		buf = append32(buf, 0)
		length := len(buf) - 4
		buf = pad(buf, alignment(v.sig[1])) // not counted, and there for an empty array too
		first := len(buf)
		buf = v.appendItems(buf)
		append32(buf[:length], uint32(len(buf)-first))
		return buf
	default:
		size := alignment(c)
		buf = pad(buf, size)
		for i := range size {
			buf = append(buf, byte(v.num>>(8*i)))
		}
		return buf
	}
}

func (v *Value) appendItems(b []byte) []byte {
	for i := range v.items {
		b = v.items[i].appendTo(b)
	}
	return b
}

// String returns the value in GVariant's text format, with its type where the text
// alone does not show it.
func (v Value) String() string {
	if v.sig == "" {
		return "none"
	}
	switch v.sig[0] {
	case 's':
		return strconv.Quote(v.text)
	case 'o':
		return "objectpath " + strconv.Quote(v.text)
	case 'g':
		return "signature " + strconv.Quote(v.text)
	case 'b':
		return strconv.FormatBool(v.num != 0)
	case 'v':
		return "<" + v.items[0].String() + ">"
	case '(':
		if len(v.items) == 1 {
			return "(" + v.items[0].String() + ",)"
		}
		return "(" + v.list() + ")"
	case 'a':
		switch {
		case v.sig == "ay":
			return "@ay " + hexList(v.text)
		case len(v.items) == 0:
			return "@" + v.sig + " []"
		}
		return "[" + v.list() + "]"
	case 'd':
		return "double " + strconv.FormatFloat(math.Float64frombits(v.num), 'g', -1, 64)
	case 'i':
		return strconv.FormatInt(int64(v.num), 10)
	case 'n':
		return "int16 " + strconv.FormatInt(int64(v.num), 10)
	case 'x':
		return "int64 " + strconv.FormatInt(int64(v.num), 10)
	}
	return unsignedName(v.sig[0]) + " " + strconv.FormatUint(v.num, 10)
}

func (v *Value) list() string {
	out := make([]string, len(v.items))
	for i := range v.items {
		out[i] = v.items[i].String()
	}
	return strings.Join(out, ", ")
}

func unsignedName(c byte) string {
	switch c {
	case 'y':
		return "byte"
	case 'q':
		return "uint16"
	case 'u':
		return "uint32"
	}
	return "uint64"
}

// hexList returns bytes as [0x01, 0xff].
func hexList(s string) string {
	const digits = "0123456789abcdef"
	b := []byte{'['}
	for i := range len(s) {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, '0', 'x', digits[s[i]>>4], digits[s[i]&15])
	}
	return string(append(b, ']'))
}
