package criutest

import "encoding/binary"

func num(field int, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(field)<<3), v)
}

func sub(field int, parts ...[]byte) []byte {
	m := join(parts...)
	b := binary.AppendUvarint(nil, uint64(field)<<3|2)
	return append(binary.AppendUvarint(b, uint64(len(m))), m...)
}

func text(field int, s string) []byte { return sub(field, []byte(s)) }

func join(parts ...[]byte) (m []byte) {
	for _, p := range parts {
		m = append(m, p...)
	}
	return m
}

// each calls f for the fields of a message, which the driver writes: numbers and bytes.
func each(m []byte, f func(n int, v uint64, data []byte)) {
	for len(m) > 0 {
		tag, n := binary.Uvarint(m)
		m = m[n:]
		v, n := binary.Uvarint(m)
		m = m[n:]
		if tag&7 == 0 {
			f(int(tag>>3), v, nil)
			continue
		}
		f(int(tag>>3), 0, m[:v:v])
		m = m[v:]
	}
}

func number(m []byte, field int) (out uint64) {
	each(m, func(n int, v uint64, _ []byte) {
		if n == field {
			out = v
		}
	})
	return out
}

// Pair returns the two fields of an inherited descriptor, a joined namespace or the root of
// a cgroup: numbers as text.
func Pair(m string) (first, second string) {
	each([]byte(m), func(n int, v uint64, data []byte) {
		s := string(data)
		if data == nil {
			s = string(rune('0' + v))
		}
		if n == 1 {
			first = s
		} else if n == 2 {
			second = s
		}
	})
	return first, second
}
