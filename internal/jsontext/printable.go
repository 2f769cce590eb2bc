package jsontext

import (
	"bytes"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// odd reports whether a terminal, or whoever reads there, could take r, which RFC 8259 allows
// in a string as it is, for something else than a character: DEL, the control characters
// behind ASCII, those that change the direction of the text.
func odd(r rune) bool { return r >= 0x7f && !strconv.IsGraphic(r) }

// appendEscape appends r as an escape.
func appendEscape(buf []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	for _, c := range utf16.AppendRune(nil, r) {
		buf = append(buf, '\\', 'u', hex[c>>12], hex[c>>8&15], hex[c>>4&15], hex[c&15])
	}
	return buf
}

// Printable returns a writer for JSON texts, as encoding/json makes them, to a file that may be
// a terminal: what AppendString escapes and encoding/json does not is an escape. Each Write
// gets whole characters.
func Printable(w io.Writer) io.Writer { return printable{w} }

type printable struct{ w io.Writer }

// Write writes text, and returns its length when it could.
func (p printable) Write(text []byte) (int, error) {
	var out []byte
	for rest := text; len(rest) > 0; {
		i := bytes.IndexFunc(rest, odd)
		if i < 0 {
			out = append(out, rest...)
			break
		}
		r, n := utf8.DecodeRune(rest[i:])
		out = appendEscape(append(out, rest[:i]...), r)
		rest = rest[i+n:]
	}
	if _, err := p.w.Write(out); err != nil {
		return 0, err
	}
	return len(text), nil
}
