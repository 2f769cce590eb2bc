package jsontext

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestPrintable: in a JSON text that this package or encoding/json has made stands nothing that
// a terminal takes for a command, and it reads as the same string.
func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"é字😀":                      `"é字😀"`,
		"\x1b\x7f\u009b\u0080":     `"\u001b\u007f\u009b\u0080"`,
		"a\u202eb\u2066\U000e0041": `"a\u202eb\u2066\udb40\udc41"`,
		"\u007f":                   `"\u007f"`,
	} {
		var out strings.Builder
		if err := json.NewEncoder(Printable(&out)).Encode(text); err != nil || out.String() != want+"\n" {
			t.Errorf("%q by encoding/json: %s, %v, want %s", text, out.String(), err, want)
		}
		own := string(AppendString(nil, text))
		if own != want {
			t.Errorf("%q: %s, want %s", text, own, want)
		}
		if read, _, fault := ReadString(own, 1); read != text || fault != "" {
			t.Errorf("%s is read as %q: %s", own, read, fault)
		}
	}
}
