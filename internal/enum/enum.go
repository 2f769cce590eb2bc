// Package enum has the words that config.json has for numbers of the kernel: one table for
// each property that takes one of several. Whoever checks such a property, emits it, lists
// it for engines or prints it in a listing reads the same row.
//
// Tables that one facility alone needs are in its package: namespaces, mount options,
// seccomp.
package enum

import "strings"

// Value is a row of a table.
type Value struct {
	Name   string // in config.json
	Number uint64 // the kernel's: a number, or a bit of several
	Since  string // the first kernel that has it, empty where all that Hutch runs on have
}

// Table is all values of a property, in the order in which they are listed.
type Table []Value

// Find returns the row of name, nil where there is none.
func (t Table) Find(name string) *Value {
	for i := range t {
		if t[i].Name == name {
			return &t[i]
		}
	}
	return nil
}

// Name returns the word for number, empty where there is none.
func (t Table) Name(number uint64) string {
	for i := range t {
		if t[i].Number == number {
			return t[i].Name
		}
	}
	return ""
}

// Names returns all words.
func (t Table) Names() []string {
	names := make([]string, len(t))
	for i := range t {
		names[i] = t[i].Name
	}
	return names
}

// Or returns the words as a text for errors: "A, B or C".
func (t Table) Or() string {
	names := t.Names()
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// Needs returns " (needs Linux X)" for a value that some kernels lack, else nothing.
func (v *Value) Needs() string {
	if v.Since == "" {
		return ""
	}
	return " (needs Linux " + v.Since + ")"
}
