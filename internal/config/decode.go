// Package config reads a bundle's config.json into the types of the OCI
// runtime specification.
//
// The decoder is generated from those types, since the reflection of
// encoding/json costs more at the start of a process than all other work on the
// configuration. It gives what encoding/json gives, with these differences:
//
//   - Names of properties match exactly. encoding/json takes any case.
//   - Bytes that are not UTF-8 are an error. encoding/json replaces them.
//   - A text that is null is an error. encoding/json takes it for no change.
//   - Objects and arrays nest at most 1000 deep.
//   - Properties of other platforms than Linux (those whose field has a
//     platform tag without linux) are ignored like unknown ones.
//
// As with encoding/json a property that stands twice is taken twice: the last
// one wins, and two objects of the same name are merged.
//
// The package says whether a text has the specification's form. What the values
// must be is checked by package validate.
//
// Source: runtime-spec config.md and config-linux.md; RFC 8259.
package config

import (
	"fmt"
	"strings"
	"unicode/utf8"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

//go:generate go run github.com/hutch-project/hutch/internal/gen/specjson -o decode_gen.go
//go:generate go run github.com/hutch-project/hutch/internal/gen/specjson -names -o names_gen.go

// Decode returns the configuration that the text of a config.json stands for. The result does
// not refer to data. Unknown properties are ignored: "Implementations that are
// reading/processing this configuration file MUST NOT generate an error if they encounter an
// unknown property." Errors are of type *Error and do not name the file.
//
// Source: runtime-spec config.md "Extensibility".
func Decode(data []byte) (*specs.Spec, error) {
	return decode(data, decodeSpec)
}

// DecodeProcess decodes a text that is the process object of a configuration,
// as Decode does.
func DecodeProcess(data []byte) (*specs.Process, error) {
	return decode(data, decodeProcess)
}

// DecodeResources decodes a text that is the linux.resources object of a
// configuration, as Decode does.
func DecodeResources(data []byte) (*specs.LinuxResources, error) {
	return decode(data, decodeLinuxResources)
}

// decode decodes the whole of data, which must be one object, with value.
func decode[T any](data []byte, value func(*decoder, *T)) (*T, error) {
	v := new(T)
	d := decoder{s: string(data)} // a copy, so that strings of the result can be parts of it
	switch {
	case !utf8.ValidString(d.s):
		at := invalidOffset(d.s)
		d.fail(at, fmt.Sprintf("byte %#02x at offset %d is not UTF-8; save the text as UTF-8", d.s[at], at))
	case strings.HasPrefix(d.s, "\ufeff"):
		d.fail(0, "found a byte order mark; remove it")
	case d.peek() == 0 && d.i >= len(d.s):
		d.fail(d.i, "the text is empty, want an object")
	case d.peek() != '{':
		d.want("an object")
	default:
		value(&d, v)
		d.end()
	}
	if d.fault != "" {
		return nil, newError(d.s, d.at, d.fault)
	}
	return v, nil
}

// invalidOffset returns the offset of the first byte of s that is not UTF-8.
func invalidOffset(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
	}
	return len(s)
}
