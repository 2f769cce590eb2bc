package jsontext

import (
	"encoding/json"
	"strings"
	"testing"
)

func FuzzAppendStringDecodesToTheSame(f *testing.F) {
	for _, s := range []string{"", "a", `"\`, "\n\t\r\x00\x1f", "é\u2028😀", "\xff\xfe", "<&>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		b := AppendString(nil, s)
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q gives %s: %v", s, b, err)
		}
		if read, next, fault := ReadString(string(b), 1); fault != "" || next != len(b) || read != got {
			t.Errorf("%s is read as %q up to %d: %s", b, read, next, fault)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); got != want && len(got) != len(want) {
			// ToValidUTF8 joins runs of bad bytes, which encoding/json does not.
			var ref string
			enc, _ := json.Marshal(s)
			_ = json.Unmarshal(enc, &ref)
			if got != ref {
				t.Errorf("%q gives %q, want %q", s, got, ref)
			}
		}
	})
}

// TestReadString: what stands for what, and where a fault is.
func TestReadString(t *testing.T) {
	for _, c := range []struct {
		text, want string
		next       int
		fault      string
	}{
		{`"a" b`, "a", 3, ""},
		{`"\u00e9\ud83d\ude00\n\/"`, "\u00e9\U0001F600\n/", 24, ""},
		{`"\ud83d"`, "\ufffd", 8, ""},
		{`"a`, "", 2, "the text is truncated"},
		{`"a\`, "", 3, "the text is truncated"},
		{`"a\x"`, "", 2, "found 'x'"},
		{`"\u00g0"`, "", 1, "four hexadecimal digits"},
		{"\"a\nb\"", "", 2, "control character '\\n'"},
		{"\"\\n\nb\"", "", 3, "control character '\\n'"},
	} {
		got, next, fault := ReadString(c.text, 1)
		if got != c.want || next != c.next || !strings.Contains(fault, c.fault) || (fault == "") != (c.fault == "") {
			t.Errorf("%s: got %q, %d, %q, want %q, %d, %q", c.text, got, next, fault, c.want, c.next, c.fault)
		}
	}
}
