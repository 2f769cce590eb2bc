package config

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Error is what is wrong with a JSON text, and where.
type Error struct {
	Element string // the place, as linux.namespaces[2].type; empty is the whole text
	Fault   string // what is wrong, as "want a string, found a number"
	Offset  int    // in bytes, from 0
	Line    int    // from 1
	Column  int    // in characters, from 1
}

// Error returns the element, the fault, the line and the column.
func (e *Error) Error() string {
	text := e.Fault + " (line " + strconv.Itoa(e.Line) + ", column " + strconv.Itoa(e.Column) + ")"
	if e.Element == "" {
		return text
	}
	return e.Element + ": " + text
}

// newError describes the fault at byte offset at of s.
func newError(s string, at int, fault string) *Error {
	p := placeAt(s, at)
	return &Error{Element: elementAt(s, at), Fault: fault, Offset: at, Line: p.Line, Column: p.Column}
}

// placeAt returns the place of byte offset at of s.
func placeAt(s string, at int) Place {
	before := s[:at]
	line := before[strings.LastIndexByte(before, '\n')+1:]
	return Place{strings.Count(before, "\n") + 1, utf8.RuneCountInString(line) + 1}
}

// elementAt names the element of s that byte offset at is in. Decoding keeps no
// track of it, so that right texts pay nothing; here the text is read again.
func elementAt(s string, at int) string {
	l := locator{decoder: decoder{s: s}, target: at}
	l.value()
	return cutTo(string(l.path), 200)
}

// locator reads a text up to an offset or a fault of syntax, and has the names
// of the objects and arrays that are open there.
type locator struct {
	decoder
	target int
	path   []byte
}

// value reads a value and tells whether to go on behind it.
func (l *locator) value() bool {
	c := l.peek()
	if l.i >= l.target {
		return false
	}
	length := len(l.path)
	switch c {
	case '{':
		for ok := l.object(); ok; ok = l.member() {
			l.path = appendName(l.path[:length], l.name)
			if !l.value() {
				return false
			}
		}
	case '[':
		n := 0
		for ok := l.array(); ok; ok = l.element() {
			l.path = append(strconv.AppendInt(append(l.path[:length], '['), int64(n), 10), ']')
			if n++; !l.value() {
				return false
			}
		}
	default:
		l.skip()
	}
	// A member or an element that lacks its value, comma or bracket is told by
	// what it is in.
	if c == '{' || c == '[' {
		l.path = l.path[:length]
	}
	return l.fault == "" && l.i <= l.target
}

// appendName adds a member's name to path; names that are not plain words are
// quoted.
func appendName(path []byte, name string) []byte {
	for _, c := range []byte(name) {
		if c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return append(strconv.AppendQuote(append(path, '['), cutTo(name, 60)), ']')
		}
	}
	if len(path) > 0 {
		path = append(path, '.')
	}
	return append(path, cutTo(name, 60)...)
}

// cut makes a number short enough for a message.
func cut(number string) string { return cutTo(number, 30) }

// cutTo leaves at most n bytes of s, and dots for the rest.
func cutTo(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}
