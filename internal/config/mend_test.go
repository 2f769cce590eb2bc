package config

import (
	"fmt"
	"strings"
	"testing"
)

// TestDecodeAll: each value of a wrong kind is told of, where it stands, up to what is no JSON.
func TestDecodeAll(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
		ends bool // it is no JSON from the last on
	}{
		{`{"ociVersion": "1.0", "hostname": "x"}`, nil, false},
		{"{\"ociVersion\": 1.0,\n\"process\": {\"args\": \"sh\",\n\"user\": {\"uid\": -1},\n\"cwd\": \"/\"}, \"hostname\": {\"a\":\n[1]},\n\"domainname\": 7}",
			[]string{"ociVersion 1:16", "process.args 2:21", "process.user.uid 3:17", "hostname 4:26", "domainname 6:15"}, false},
		{"{\"hostname\": 1,\n\"process\": {\"args\": [\"sh\" \"x\"]}}", []string{"hostname 1:14", "process.args 2:27"}, true},
		{"{\"hostname\": 1,\n\"process\" {}}", []string{"hostname 1:14", " 2:11"}, true},
		{"[1]", []string{" 1:1"}, true},
		{"", []string{" 1:1"}, true},
		{`{"hostname": tru}`, []string{"hostname 1:14"}, true},
		{`{"hostname": "x"`, []string{" 1:17"}, true},
	} {
		s, mended, faults := DecodeAll([]byte(c.text))
		var got []string
		for _, f := range faults {
			got = append(got, fmt.Sprintf("%s %d:%d", f.Element, f.Line, f.Column))
		}
		if strings.Join(got, ", ") != strings.Join(c.want, ", ") || c.ends != (s == nil) {
			t.Errorf("%s: got %q, %v, %s", c.text, got, s != nil, mended)
		}
		if strings.Count(string(mended), "\n") != strings.Count(c.text, "\n") {
			t.Errorf("%s: other lines in %s", c.text, mended)
		}
	}
}
