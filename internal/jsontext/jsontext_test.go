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
