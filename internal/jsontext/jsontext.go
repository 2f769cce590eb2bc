// Package jsontext writes and reads JSON strings. It is for the few documents that every
// command writes or reads, where encoding/json's first call would cost more than the rest;
// anything else is better off with encoding/json.
package jsontext

import "unicode/utf8"

// AppendString appends s as a JSON string. Bytes that are no UTF-8 become the
// replacement character, as encoding/json has it; control characters behind ASCII, which it
// leaves as they are, become escapes, as the others do.
//
// Source: RFC 8259, section 7.
func AppendString(buf []byte, text string) []byte {
	const hex = "0123456789abcdef"
	buf = append(buf, '"')
	start := 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= 0x7f { // DEL, and what is not ASCII
			r, n := utf8.DecodeRuneInString(text[i:])
			switch {
			case r == utf8.RuneError && n == 1:
				buf = append(append(buf, text[start:i]...), "\ufffd"...)
				start = i + 1
			case odd(r):
				buf = appendEscape(append(buf, text[start:i]...), r)
				start = i + n
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		buf = append(buf, text[start:i]...)
		switch c {
		case '"', '\\':
			buf = append(buf, '\\', c)
		case '\n':
			buf = append(buf, '\\', 'n')
		case '\t':
			buf = append(buf, '\\', 't')
		case '\r':
			buf = append(buf, '\\', 'r')
		default:
			buf = append(buf, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	return append(append(buf, text[start:]...), '"')
}
