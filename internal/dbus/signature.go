package dbus

import "strings"

// longestSignature is the length of the longest signature, whose length is one byte.
const longestSignature = 255

// typeNamed returns the type of a keyword, empty for another word.
func typeNamed(word string) string {
	switch word {
	case "boolean":
		return "b"
	case "byte":
		return "y"
	case "int16":
		return "n"
	case "uint16":
		return "q"
	case "int32":
		return "i"
	case "uint32":
		return "u"
	case "int64":
		return "x"
	case "uint64":
		return "t"
	case "double":
		return "d"
	case "string":
		return "s"
	case "objectpath":
		return "o"
	case "signature":
		return "g"
	}
	return ""
}

// typeLength returns the length of the type at the start of s, 0 when there is none.
func typeLength(text string, depth int) int {
	if text == "" || depth > deepest || len(text) > longestSignature {
		return 0
	}
	switch {
	case strings.IndexByte("ynqiuxtdbsogv", text[0]) >= 0:
		return 1
	case text[0] == 'a':
		if n := typeLength(text[1:], depth+1); n > 0 {
			return n + 1
		}
	case text[0] == '(':
		at := 1
		for at < len(text) && text[at] != ')' {
			n := typeLength(text[at:], depth+1)
			if n == 0 {
				return 0
			}
			at += n
		}
		if at > 1 && at < len(text) {
			return at + 1
		}
	}
	return 0
}

// validPath checks an object path.
//
// Source: D-Bus Specification, "Valid Object Paths".
func validPath(s string) bool {
	if s == "/" {
		return true
	}
	rest, ok := strings.CutPrefix(s, "/")
	for part := range strings.SplitSeq(rest, "/") {
		ok = ok && part != ""
		for i := range len(part) {
			ok = ok && (isLetter(part[i]) || '0' <= part[i] && part[i] <= '9' || part[i] == '_')
		}
	}
	return ok
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
