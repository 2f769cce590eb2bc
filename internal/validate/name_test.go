package validate

import (
	"strings"
	"testing"
)

func TestID(t *testing.T) {
	for _, id := range []string{"a", "-a", "+a", "a.b", "...", "A_0-9+.", strings.Repeat("x", 1024)} {
		if err := ID(id); err != nil {
			t.Errorf("%.20q: got %v", id, err)
		}
	}
	const rest = "; use letters, digits and _ + . - only"
	for id, want := range map[string]string{
		"":      "container id cannot be empty; give one as argument",
		".":     `invalid container ID format: "." names a directory of its own` + rest,
		"..":    `invalid container ID format: ".." names a directory of its own` + rest,
		"a/b":   `invalid container ID format: "a/b" has the character '/'` + rest,
		"../a":  `invalid container ID format: "../a" has the character '/'` + rest,
		"a b":   `invalid container ID format: "a b" has the character ' '` + rest,
		"a\n":   `invalid container ID format: "a\n" has the character '\n'` + rest,
		"a\x00": `invalid container ID format: "a\x00" has the character '\x00'` + rest,
		"é":     `invalid container ID format: "é" has the character 'é'` + rest,
		"\xff":  `invalid container ID format: "\xff" has the character '` + "\ufffd" + `'` + rest,
		strings.Repeat("x", 1025): `invalid container ID format: "` + strings.Repeat("x", 100) +
			`"... has 1025 bytes; use at most 1024`,
	} {
		if err := ID(id); err == nil || err.Error() != want {
			t.Errorf("%.20q:\ngot  %v\nwant %s", id, err, want)
		}
	}
}
