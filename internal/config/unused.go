package config

import (
	"strconv"
	"strings"
)

// UnusedProperty is a property that Decode passes over.
type UnusedProperty struct {
	Place
	Element string
	// Names are the properties that there are beside it; none for one that stands twice.
	Names []string
	// Platform is set when it is a property of another platform.
	Platform bool
}

// Unused returns the properties of a configuration, which Decode has taken, that have no
// effect: the names that the specification has not, or has for another platform alone, and
// those that stand twice, of which the last counts.
//
// Annotations and other objects with names of the user's own have none.
func Unused(data []byte) []UnusedProperty {
	s := propertyReader{decoder: decoder{s: string(data)}, members: map[string][]string{}}
	for line := range strings.Lines(properties) {
		if f := strings.Fields(line); len(f) > 0 {
			s.members[f[0]] = f[1:]
		}
	}
	s.value("Spec", "")
	return s.found
}

// propertyReader reads a text beside the names of the properties.
type propertyReader struct {
	decoder
	members map[string][]string // of each structure, as the text of properties has them
	found   []UnusedProperty
}

// value reads what is a structure, or a list or, with { before its name, an object of such;
// empty is anything else.
func (s *propertyReader) value(structure, path string) {
	inside, isMap := strings.CutPrefix(structure, "{")
	switch c := s.peek(); {
	case c == '{' && isMap:
		for ok := s.object(); ok; ok = s.member() {
			s.value(inside, string(appendName([]byte(path), s.name)))
		}
	case c == '{' && structure != "":
		s.structure(structure, path)
	case c == '[' && structure != "":
		for n, ok := 0, s.array(); ok; n, ok = n+1, s.element() {
			s.value(structure, path+"["+strconv.Itoa(n)+"]")
		}
	default:
		s.skip()
	}
}

// structure reads an object that is a structure.
func (s *propertyReader) structure(structure, path string) {
	seen := map[string]bool{}
	for ok := s.object(); ok; ok = s.member() {
		name, element := s.name, string(appendName([]byte(path), s.name))
		inside, known, names := s.find(structure, name)
		s.peek()
		property := UnusedProperty{Place: placeAt(s.s, s.i), Element: element}
		switch {
		case !known:
			property.Names = names
			s.found = append(s.found, property)
		case inside == "-":
			property.Platform, inside = true, ""
			s.found = append(s.found, property)
		case seen[name]:
			s.found = append(s.found, property)
		}
		seen[name] = true
		s.value(inside, element)
	}
}

// find returns what the property name of a structure is: a structure, anything else, or - for
// one of another platform; and of one that is not known, the names of those that there are.
func (s *propertyReader) find(structure, name string) (inside string, known bool, names []string) {
	for _, m := range s.members[structure] {
		own, inside, _ := strings.Cut(m, "=")
		switch {
		case own == "-"+name:
			return "-", true, nil
		case own == name:
			return inside, true, nil
		case own[0] != '-':
			names = append(names, own)
		}
	}
	return "", false, names
}
