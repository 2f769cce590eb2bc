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

func TestName(t *testing.T) {
	for name, want := range map[string]string{
		"": "", "plain-1.x": "plain-1.x", "ü 字": "ü 字", "a\nhutch: b": `"a\nhutch: b"`, "\x1b]0;x\a": `"\x1b]0;x\a"`, `a"b`: `"a\"b"`,
		"\xff": `"\xff"`, "\u202e": `"\u202e"`, "\u009b": `"\u009b"`,
	} {
		if got := Name(name); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
}

// TestLine: what a name has in it begins no other line.
func TestLine(t *testing.T) {
	for text, want := range map[string]string{
		"one \"ü\" \\": "one \"ü\" \\", "a\nhutch: b\tc\r": `a\nhutch: b\tc\r`, "\x1b[1m\x00\x7f\xff\u009b\u2028\u202e": `\x1b[1m\x00\x7f\xff\u009b\u2028\u202e`,
	} {
		if got := Line(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
		if got := New("e", text, "").Error(); got != "config.json: e: "+want {
			t.Errorf("%q: the fault is %q", text, got)
		}
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"one\n\ttwo \"ü\"": "one\n\ttwo \"ü\"", "\x1b[1m\x00\x7f\r": `\x1b[1m\x00\x7f\r`, "a\xffb\u009b\u202e\n": "a\\xffb\\u009b\\u202e\n",
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
