package config

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hutch-project/hutch/internal/jsontext"
)

// maxDepth bounds how deep objects and arrays may nest. The deepest place of
// the specification is at depth 7.
const maxDepth = 1000

// decoder reads one JSON text. Its first fault is kept; from then on no loop
// over members or elements goes on, so that all decoding functions return.
//
// Decoding functions are called with the decoder before a value and leave it
// behind that value. They change nothing for null where encoding/json changes
// nothing: in scalars and structures.
type decoder struct {
	s     string   // the text; the strings of the result are parts of it
	i     int      // where the reading is, a byte offset in s
	depth int      // number of objects and arrays that are open
	name  string   // the name of the member whose value comes
	spare []string // room for the elements of lists of strings

	fault string // what is wrong, empty while nothing is
	at    int    // where it is wrong, a byte offset in s
}

// fail keeps the first fault, which is found at byte offset at.
func (d *decoder) fail(at int, fault string) {
	if d.fault == "" {
		d.at, d.fault = at, fault
	}
}

// peek skips white space and returns the byte that comes, 0 at the text's end.
func (d *decoder) peek() byte {
	for ; d.i < len(d.s); d.i++ {
		switch c := d.s[d.i]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// want sets the fault that something else than what is wanted comes.
func (d *decoder) want(what string) {
	c := d.peek()
	switch {
	case d.i >= len(d.s):
		d.fail(d.i, "want "+what+", found the end: the text is truncated")
	case c == '"':
		d.fail(d.i, "want "+what+", found a string")
	case c == '{':
		d.fail(d.i, "want "+what+", found an object")
	case c == '[':
		d.fail(d.i, "want "+what+", found an array")
	case c == '-' || '0' <= c && c <= '9':
		d.fail(d.i, "want "+what+", found a number")
	case c == '/' || c == '#':
		d.fail(d.i, "want "+what+", found "+strconv.QuoteRune(rune(c))+"; JSON has no comments")
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(d.s[d.i:], word) {
			d.fail(d.i, "want "+what+", found "+word)
		}
	}
	r, _ := utf8.DecodeRuneInString(d.s[d.i:])
	d.fail(d.i, "want "+what+", found "+strconv.QuoteRune(r))
}

// word reads w, one of true, false and null, if it comes.
func (d *decoder) word(w string) bool {
	d.peek()
	if !strings.HasPrefix(d.s[d.i:], w) {
		return false
	}
	d.i += len(w)
	return true
}

func (d *decoder) null() bool { return d.word("null") }

// open reads the bracket that begins an object or array and tells whether
// something stands before the closing one, which it reads otherwise.
func (d *decoder) open(bracket, closing byte, what string) bool {
	if d.fault != "" {
		return false
	}
	if d.peek() != bracket || d.i >= len(d.s) {
		if !d.null() {
			d.want(what)
		}
		return false
	}
	if d.depth++; d.depth > maxDepth {
		d.fail(d.i, "nested more than "+strconv.Itoa(maxDepth)+" deep")
		return false
	}
	d.i++
	if d.peek() == closing {
		d.i++
		d.depth--
		return false
	}
	return true
}

// more reads what stands behind a member or element and tells whether another
// one comes.
func (d *decoder) more(closing byte, what string) bool {
	if d.fault != "" {
		return false
	}
	switch d.peek() {
	case ',':
		d.i++
		if d.peek() == closing {
			d.fail(d.i, "found "+strconv.QuoteRune(rune(closing))+" after a comma; remove the comma")
			return false
		}
		return true
	case closing:
		d.i++
		d.depth--
		return false
	}
	d.want(what)
	return false
}

// object begins an object; as member, it reads the next member's name and is
// false when there is none.
func (d *decoder) object() bool { return d.open('{', '}', "an object") && d.key() }
func (d *decoder) member() bool { return d.more('}', "',' or '}'") && d.key() }

// array begins an array; as element, it is false when no element comes.
func (d *decoder) array() bool   { return d.open('[', ']', "an array") }
func (d *decoder) element() bool { return d.more(']', "',' or ']'") }

// key reads a member's name and the colon behind it.
func (d *decoder) key() bool {
	if d.peek() != '"' {
		d.want("the name of a property in double quotes")
		return false
	}
	d.name = d.text()
	if d.fault == "" && d.peek() != ':' {
		d.want("':'")
	}
	d.i++
	return d.fault == ""
}

// text reads a string. Without escapes the result is a part of the input.
func (d *decoder) text() string {
	if d.peek() != '"' {
		d.want("a string")
		return ""
	}
	value, next, fault := jsontext.ReadString(d.s, d.i+1)
	if fault != "" {
		d.fail(next, fault)
		return ""
	}
	d.i = next
	return value
}

// number reads a number and returns its text.
func (d *decoder) number() string {
	start := d.i
	digits := func() bool {
		from := d.i
		for d.i < len(d.s) && '0' <= d.s[d.i] && d.s[d.i] <= '9' {
			d.i++
		}
		return d.i > from
	}
	skip := func(set string) bool {
		if d.i < len(d.s) && strings.IndexByte(set, d.s[d.i]) >= 0 {
			d.i++
			return true
		}
		return false
	}
	skip("-")
	ok := skip("0") || digits() // no digit may follow a leading 0
	if ok && skip(".") {
		ok = digits()
	}
	if ok && skip("eE") {
		skip("+-")
		ok = digits()
	}
	if !ok {
		d.want("a digit")
	}
	return d.s[start:d.i]
}

// skip reads a value of any kind and checks its syntax only.
func (d *decoder) skip() {
	switch c := d.peek(); {
	case c == '{':
		for ok := d.object(); ok; ok = d.member() {
			d.skip()
		}
	case c == '[':
		for ok := d.array(); ok; ok = d.element() {
			d.skip()
		}
	case c == '"':
		d.text()
	case c == '-' || '0' <= c && c <= '9':
		d.number()
	case d.word("true"), d.word("false"), d.null():
	default:
		d.want("a value")
	}
}

// end checks that only white space is left.
func (d *decoder) end() {
	if d.fault != "" {
		return
	}
	if d.peek(); d.i < len(d.s) {
		d.want("the end of the text after the object")
	}
}
