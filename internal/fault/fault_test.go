package fault

import (
	"strings"
	"testing"
)

func TestError(t *testing.T) {
	for want, err := range map[string]error{
		"config.json: root: missing; give a path":    New("root", "missing", "give a path"),
		"config.json: mounts[3]: is odd":             New(At("mounts", 3), "is odd", ""),
		`config.json: hostname: "a\x00" holds a NUL`: New("hostname", Quote("a\x00")+" holds a NUL", ""),
	} {
		if err.Error() != want {
			t.Errorf("got %s, want %s", err, want)
		}
	}
}

func TestQuoteIsShort(t *testing.T) {
	if got := Quote(strings.Repeat("x", 101)); got != `"`+strings.Repeat("x", 100)+`"...` {
		t.Error(got)
	}
	if got := Quote(strings.Repeat("x", 100)); len(got) != 102 {
		t.Error(got)
	}
}
