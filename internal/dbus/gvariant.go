package dbus

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// deepest bounds how far arrays and structs may stand in each other.
const deepest = 16

// ParseText returns the value that a text in GVariant's text format stands for. Variants,
// dictionaries, maybe types and byte strings are refused: no property of a systemd unit has
// them.
//
// Source: GLib, "GVariant Text Format".
func ParseText(text string) (Value, error) {
	p := textParser{rest: text}
	v, err := p.value("", 0)
	if err != nil {
		return Value{}, err
	}
	if p.space(); p.rest != "" {
		return Value{}, fmt.Errorf("there is %q after the value", p.rest)
	}
	if len(v.sig) > longestSignature {
		return Value{}, errors.New("its type is too long for D-Bus")
	}
	return v, nil
}

type textParser struct{ rest string }

func (p *textParser) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// next takes c when it comes next.
func (p *textParser) next(c byte) bool {
	p.space()
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// word takes what goes up to a space or a mark.
func (p *textParser) word() string {
	end := strings.IndexAny(p.rest, " \t\r\n,[](){}<>'\"@")
	if end < 0 {
		end = len(p.rest)
	}
	w := p.rest[:end]
	p.rest = p.rest[end:]
	return w
}

// value reads a value of the type sig, or of any type when sig is empty.
func (p *textParser) value(sig string, depth int) (Value, error) {
	if depth > deepest {
		return Value{}, errors.New("is nested too deeply")
	}
	p.space()
	if p.rest == "" {
		return Value{}, errors.New("ends where a value should be; texts need quotes, as in 'text'")
	}
	switch c := p.rest[0]; {
	case c == '@':
		p.rest = p.rest[1:]
		end := strings.IndexAny(p.rest, " \t\r\n")
		if end < 0 {
			end = len(p.rest)
		}
		own := p.rest[:end]
		p.rest = p.rest[end:]
		if n := typeLength(own, 0); n == 0 || n != len(own) {
			return Value{}, fmt.Errorf("@%s is not a type", own)
		}
		return p.typed(own, sig, depth)
	case c == '\'' || c == '"':
		text, err := p.quoted(c)
		return textValue(sig, text, err)
	case c == '[':
		return p.array(sig, depth)
	case c == '(':
		return p.tuple(sig, depth)
	case c == '<' || c == '{':
		return Value{}, errors.New("is a variant or a dictionary, which no property of a unit is")
	}
	word := p.word()
	if own := typeNamed(word); own != "" {
		return p.typed(own, sig, depth)
	}
	return simple(sig, word)
}

// typed reads a value that has told its type, which is to be sig.
func (p *textParser) typed(own, sig string, depth int) (Value, error) {
	if err := mismatch(sig, own); err != nil {
		return Value{}, err
	}
	return p.value(own, depth+1)
}

func mismatch(want, have string) error {
	if want != "" && want != have {
		return fmt.Errorf("a value of type %s stands where one of type %s should be", have, want)
	}
	return nil
}

// quoted reads a text in quotes of the kind quote.
func (p *textParser) quoted(quote byte) (string, error) {
	out := []byte{}
	for i := 1; i < len(p.rest); i++ {
		c := p.rest[i]
		switch {
		case c == quote:
			p.rest = p.rest[i+1:]
			return string(out), nil
		case c != '\\':
			out = append(out, c)
			continue
		}
		if i++; i == len(p.rest) {
			break
		}
		digits := 0
		switch c = p.rest[i]; c {
		case 'a', 'b', 'f', 'n', 'r', 't', 'v':
			out = append(out, "\a\b\f\n\r\t\v"[strings.IndexByte("abfnrtv", c)])
		case 'u':
			digits = 4
		case 'U':
			digits = 8
		default:
			out = append(out, c)
		}
		if digits == 0 {
			continue
		}
		if i+digits >= len(p.rest) {
			break
		}
		n, err := strconv.ParseUint(p.rest[i+1:i+1+digits], 16, 32)
		if err != nil || n == 0 || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
			return "", fmt.Errorf("\\%c%s is no character", c, p.rest[i+1:i+1+digits])
		}
		out = utf8.AppendRune(out, rune(n))
		i += digits
	}
	return "", fmt.Errorf("has no closing %c", quote)
}

// textValue is a text of the type sig, s where that is open.
func textValue(sig, text string, err error) (Value, error) {
	if err != nil {
		return Value{}, err
	}
	// A bus closes the connection of who sends it another text.
	if strings.IndexByte(text, 0) >= 0 || !utf8.ValidString(text) {
		return Value{}, errors.New("a text is not valid UTF-8, or has a NUL")
	}
	switch sig {
	case "", "s":
		return String(text), nil
	case "o":
		if !validPath(text) {
			return Value{}, fmt.Errorf("%q is not an object path", text)
		}
		return Value{sig: "o", text: text}, nil
	case "g":
		for at := 0; at < len(text); {
			n := typeLength(text[at:], 0)
			if n == 0 || len(text) > longestSignature {
				return Value{}, fmt.Errorf("%q is not a signature", text)
			}
			at += n
		}
		return Value{sig: "g", text: text}, nil
	}
	return Value{}, mismatch(sig, "s")
}

// simple reads a boolean or a number of the type sig; where that is open, i for a
// whole number and d for one with a fraction.
func simple(sig, word string) (Value, error) {
	if word == "true" || word == "false" {
		return Bool(word == "true"), mismatch(sig, "b")
	}
	if sig == "" {
		sig = "i"
		if _, err := strconv.ParseInt(word, 0, 64); errors.Is(err, strconv.ErrSyntax) {
			sig = "d"
		}
	}
	errType := fmt.Errorf("%q is not a value of type %s; texts need quotes, as in 'text'", word, sig)
	if len(sig) != 1 {
		return Value{}, errType
	}
	size := 8 * alignment(sig[0])
	var n uint64
	var err error
	switch sig[0] {
	case 'n', 'i', 'x':
		var signed int64
		signed, err = strconv.ParseInt(word, 0, size)
		n = uint64(signed)
	case 'y', 'q', 'u', 't':
		n, err = strconv.ParseUint(word, 0, size)
	case 'd':
		var f float64
		f, err = strconv.ParseFloat(word, 64)
		n = math.Float64bits(f)
	default:
		return Value{}, errType
	}
	if err != nil {
		return Value{}, errType
	}
	return Value{sig: sig, num: n}, nil
}

// array reads an array. The type of its first element is that of all.
func (p *textParser) array(sig string, depth int) (Value, error) {
	elem := ""
	if sig != "" {
		if sig[0] != 'a' {
			return Value{}, mismatch(sig, "array")
		}
		elem = sig[1:]
	}
	v := Value{}
	p.next('[')
	for !p.next(']') {
		if len(v.items) > 0 && !p.next(',') {
			return Value{}, errors.New("an array has no closing ]")
		}
		e, err := p.value(elem, depth+1)
		if err != nil {
			return Value{}, err
		}
		elem = e.sig
		v.items = append(v.items, e)
	}
	if elem == "" {
		return Value{}, errors.New("an empty array tells no type; say it as in @as []")
	}
	v.sig = "a" + elem
	if elem == "y" {
		b := make([]byte, len(v.items))
		for i := range v.items {
			b[i] = byte(v.items[i].num)
		}
		return Bytes(b), nil
	}
	return v, nil
}

// tuple reads a struct.
func (p *textParser) tuple(sig string, depth int) (Value, error) {
	rest := ""
	if sig != "" {
		if sig[0] != '(' {
			return Value{}, mismatch(sig, "struct")
		}
		rest = sig[1 : len(sig)-1]
	}
	var items []Value
	p.next('(')
	for !p.next(')') {
		if len(items) > 0 && !p.next(',') {
			return Value{}, errors.New("a struct has no closing )")
		}
		if len(items) == 1 && p.next(')') { // "(1,)"
			break
		}
		one := ""
		if sig != "" {
			if rest == "" {
				return Value{}, errors.New("a struct has more members than its type")
			}
			n := typeLength(rest, 0)
			one, rest = rest[:n], rest[n:]
		}
		e, err := p.value(one, depth+1)
		if err != nil {
			return Value{}, err
		}
		items = append(items, e)
	}
	if len(items) == 0 || rest != "" {
		return Value{}, errors.New("a struct has too few members")
	}
	return Struct(items...), nil
}
