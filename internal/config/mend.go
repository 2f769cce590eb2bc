package config

import (
	"errors"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// mostFaults bounds how many values DecodeAll passes over: the text is read again for each.
const mostFaults = 100

// DecodeAll is Decode for who wants to know all that is wrong: a value that is of another kind
// than its property counts as null. mended is the text with null in the place of these, in which
// all else stands where it stood, but for what follows on the line of one shorter than that. s is
// nil where the text is no JSON; the last of faults says where it ends to be.
func DecodeAll(data []byte) (s *specs.Spec, mended []byte, faults []*Error) {
	mended = data
	for last := -1; ; {
		s, err := Decode(mended)
		var wrong *Error
		if !errors.As(err, &wrong) {
			return s, mended, faults
		}
		if wrong.Offset <= last { // what was passed over is no value
			return nil, mended, faults
		}
		faults, last = append(faults, wrong), wrong.Offset
		d := decoder{s: string(mended), i: wrong.Offset}
		d.skip()
		if d.fault != "" || d.i == wrong.Offset || wrong.Element == "" || len(faults) == mostFaults {
			return nil, mended, faults
		}
		mended = append([]byte(nil), mended...)
		mended = append(mended[:wrong.Offset], null(d.s[wrong.Offset:d.i])+d.s[d.i:]...)
	}
}

// null returns null in the form of a value, with its line ends.
func null(value string) string {
	b := []byte("null")
	for i := range len(value) {
		switch {
		case value[i] == '\n':
			b = append(b, '\n')
		case i >= len("null"):
			b = append(b, ' ')
		}
	}
	return string(b)
}
