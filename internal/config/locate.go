package config

import (
	"strconv"
	"strings"
)

// Place is where something stands in a text: a line from 1, and a column from 1, in
// characters.
type Place struct{ Line, Column int }

// Locate returns where the value of the element of a configuration stands, which is named as
// in errors: linux.namespaces[2].type, linux.sysctl["net.ipv4.ip_forward"],
// annotations[org.criu.config]. Where the element is not there it is the place of the innermost
// one around it that is; whole is false then.
//
// data is a text that Decode has taken. It is read again from the beginning, so that
// decoding has nothing to write down.
func Locate(data []byte, element string) (p Place, whole bool) {
	d := decoder{s: string(data)}
	steps := parseElement(element)
	at, depth := d.locate(steps)
	return placeAt(d.s, at), depth == len(steps)
}

// step is one step of an element's name: to a member, or, with a name that is empty, to the
// element of an array.
type step struct {
	name  string
	index int
}

// parseElement returns the steps of an element's name; what it cannot read ends them.
func parseElement(text string) []step {
	var steps []step
	for text != "" {
		switch {
		case text[0] == '.':
			text = text[1:]
		case strings.HasPrefix(text, `["`):
			quoted, err := strconv.QuotedPrefix(text[1:])
			if err != nil {
				return steps
			}
			name, _ := strconv.Unquote(quoted)
			steps = append(steps, step{name: name})
			text = strings.TrimPrefix(text[1+len(quoted):], "]")
		case text[0] == '[':
			number, rest, _ := strings.Cut(text[1:], "]")
			n, err := strconv.Atoi(number)
			if err != nil { // a key, as those of annotations, that needs no quotes
				steps, text = append(steps, step{name: number}), rest
				continue
			}
			steps, text = append(steps, step{index: n}), rest
		default:
			end := strings.IndexAny(text, ".[")
			if end < 0 {
				end = len(text)
			}
			steps, text = append(steps, step{name: text[:end]}), text[end:]
		}
	}
	return steps
}

// locate returns the offset of the value that steps lead to from the one that comes, and how
// many of them there are. Of members with one name the last counts, as for Decode.
func (d *decoder) locate(steps []step) (at, depth int) {
	c := d.peek()
	at = d.i
	if len(steps) == 0 {
		d.skip()
		return at, 0
	}
	try := func(matches bool) {
		if !matches {
			d.skip()
		} else if a, n := d.locate(steps[1:]); n+1 >= depth {
			at, depth = a, n+1
		}
	}
	switch {
	case c == '{' && steps[0].name != "":
		for ok := d.object(); ok; ok = d.member() {
			try(d.name == steps[0].name)
		}
	case c == '[' && steps[0].name == "":
		for n, ok := 0, d.array(); ok; n, ok = n+1, d.element() {
			try(n == steps[0].index)
		}
	default:
		d.skip()
	}
	return at, depth
}
