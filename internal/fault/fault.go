// Package fault is the one form of what is wrong with a configuration: which element,
// what about it, and what to do.
package fault

import "strconv"

// Error is one fault of a configuration.
type Error struct {
	Element string // the property, as linux.namespaces[2].path
	Fault   string // what is wrong with it
	Remedy  string // what to do about it; may be empty
}

// Error returns "config.json: ELEMENT: FAULT; REMEDY".
func (e *Error) Error() string {
	text := "config.json: " + e.Element + ": " + e.Fault
	if e.Remedy != "" {
		text += "; " + e.Remedy
	}
	return text
}

// New returns an Error. It returns the type error, so that a check that finds nothing
// returns a nil of that type and has built no text.
func New(element, fault, remedy string) error {
	return &Error{element, fault, remedy}
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
