package jsontext

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// ReadString reads the string whose content begins at text[start], behind its quote. It returns
// what the string stands for, a part of text where there are no escapes, and the offset behind
// the closing quote. With a fault, which is empty for a good string, next is where that is.
//
// Source: RFC 8259, section 7.
func ReadString(text string, start int) (value string, next int, fault string) {
	for i := start; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return text[start:i], i + 1, ""
		case c == '\\':
			return escaped(text, start, i)
		case c < ' ':
			return control(text, i)
		}
	}
	return unended(text)
}

func control(text string, i int) (string, int, string) {
	return "", i, "found the control character " + strconv.QuoteRune(rune(text[i])) + " in a string; write it as an escape"
}

func unended(text string) (string, int, string) {
	return "", len(text), "want the end of a string, found the end: the text is truncated"
}

// The letters of escapes, and what each stands for.
const (
	escapes = `"\/bfnrt`
	meant   = "\"\\/\b\f\n\r\t"
)

// escaped is ReadString for a string whose first escape is at i.
func escaped(text string, start, i int) (value string, next int, fault string) {
	out := append(make([]byte, 0, 2*(i-start)+32), text[start:i]...)
	for i < len(text) {
		c := text[i]
		switch {
		case c == '"':
			return string(out), i + 1, ""
		case c < ' ':
			return control(text, i)
		case c != '\\':
			out = append(out, c)
			i++
			continue
		case i+1 >= len(text):
			return unended(text)
		}
		c = text[i+1]
		if c == 'u' {
			r, n := unicodeEscape(text[i:])
			if n == 0 {
				return "", i, `want four hexadecimal digits after \u`
			}
			out = utf8.AppendRune(out, r)
			i += n
			continue
		}
		k := strings.IndexByte(escapes, c)
		if k < 0 {
			return "", i, `want one of "\/bfnrtu after a backslash, found ` + strconv.QuoteRune(rune(c))
		}
		out = append(out, meant[k])
		i += 2
	}
	return unended(text)
}

// unicodeEscape returns the rune that the escape at the start of s stands for
// and its length, 0 when it is none. Half a surrogate pair stands for U+FFFD,
// as in encoding/json.
func unicodeEscape(s string) (rune, int) {
	r := hex4(s)
	if r < 0 {
		return 0, 0
	}
	if utf16.IsSurrogate(r) {
		if both := utf16.DecodeRune(r, hex4(s[6:])); both != utf8.RuneError {
			return both, 12
		}
		return utf8.RuneError, 6
	}
	return r, 6
}

// hex4 returns the value of an escape \uXXXX at the start of s, or -1.
func hex4(s string) rune {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range []byte(s[2:6]) {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return -1
		}
	}
	return r
}
