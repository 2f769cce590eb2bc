// Package fault is the one form of what is wrong with a configuration: which element,
// what about it, and what to do.
package fault

import (
	"cmp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Error is one fault of a configuration.
type Error struct {
	Element string // the property, as linux.namespaces[2].path
	Fault   string // what is wrong with it
	Remedy  string // what to do about it; may be empty
	Source  string // where the configuration is from; config.json where it is empty
}

// Error returns "SOURCE: ELEMENT: FAULT; REMEDY".
func (e *Error) Error() string {
	text := cmp.Or(e.Source, "config.json") + ": " + e.Element + ": " + e.Fault
	if e.Remedy != "" {
		text += "; " + e.Remedy
	}
	return Line(text)
}

// New returns an Error. It returns the type error, so that a check that finds nothing
// returns a nil of that type and has built no text.
func New(element, fault, remedy string) error {
	return &Error{Element: element, Fault: fault, Remedy: remedy}
}

// In returns err with source, where it is a fault, as that which it was found in.
func In(source string, err error) error {
	if e, ok := err.(*Error); ok {
		found := *e
		found.Source = source
		return &found
	}
	return err
}

// At returns the name of the element i of a list.
func At(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

// quoted is how much of a value a message shows, in bytes.
const quoted = 100

// Quote returns a value in quotes, cut off where it would make a message unreadable.
func Quote(value string) string {
	if len(value) > quoted {
		return strconv.Quote(value[:quoted]) + "..."
	}
	return strconv.Quote(value)
}

// Name returns the name of a file that others have given it, as it is to stand in a
// message: in quotes where it could be taken for something else, as a line of its own.
func Name(name string) string {
	if quotes := strconv.Quote(name); quotes[1:len(quotes)-1] != name {
		return quotes
	}
	return name
}

// Printable returns a message for a terminal: the control characters in it are written
// as escapes, but for the ends of lines and tabs.
func Printable(text string) string { return escaped(text, "\n\t") }

// Line returns a message that is one line, whatever names are in it: Printable with the ends of
// lines and tabs as escapes, too.
func Line(text string) string { return escaped(text, "") }

// escaped returns text with the control characters in it as escapes, but for those of left.
func escaped(text, left string) string {
	odd := func(r rune) bool {
		return !strconv.IsGraphic(r) && !strings.ContainsRune(left, r) || r == utf8.RuneError
	}
	if strings.IndexFunc(text, odd) < 0 {
		return text
	}
	var out strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		part := text[:size]
		if odd(r) {
			quoted := strconv.QuoteToASCII(part)
			part = quoted[1 : len(quoted)-1]
		}
		out.WriteString(part)
		text = text[size:]
	}
	return out.String()
}
