package user

import (
	"strings"
	"testing"
)

const file = "root:x:0:0:root:/root:/bin/sh\n" +
	"two:x:7:7::/first:/bin/sh\n" +
	"two:x:7:7::/second:/bin/sh\n" +
	"relative:x:8:8::home:/bin/sh\n" +
	"short:x:9\n" +
	"shorter:x\n" +
	"\n" +
	"minus:x:-1:1::/minus:/bin/sh\n" +
	"word:x:seven:1::/word:/bin/sh\n" +
	"big:x:4294967294:1::/big:/bin/sh\n" +
	"bigger:x:4294967306:1::/bigger:/bin/sh\n" + // 10 in 32 bits
	"dos:x:11:1::/dos:/bin/sh\r\n" +
	"last:x:12:1::/last:/bin/sh" // without a newline

func TestHome(t *testing.T) {
	for _, c := range []struct {
		rule  string
		text  string
		uid   uint32
		end   bool
		want  string
		found bool
	}{
		{"the first line", file, 0, true, "/root", true},
		{"of several the first", file, 7, true, "/first", true},
		{"a directory that is no path", file, 8, true, "/", true},
		{"a line without one", file, 9, true, "/", true},
		{"the highest id", file, 4294967294, true, "/big", true},
		{"an id above 32 bits is no other's", file, 10, true, "/", false},
		{"a negative one is none", file, 4294967295, true, "/", false},
		{"another end of line", file, 11, true, "/dos", true},
		{"the last line without a newline", file, 12, true, "/last", true},
		{"the last line, which may go on", file, 12, false, "/", false},
		{"a line that is there, of a text that goes on", file, 11, false, "/dos", true},
		{"nobody", file, 13, true, "/", false},
		{"nothing", "", 0, true, "/", false},
		{"nothing yet", "", 0, false, "/", false},
		{"no line yet", "root:x:0:0:root:/ro", 0, false, "/", false},
		{"a cut line at the end", "root:x:0:0:root:/ro", 0, true, "/ro", true},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if got, found := Home([]byte(c.text), c.uid, c.end); got != c.want || found != c.found {
				t.Errorf("%q, %v; want %q, %v", got, found, c.want, c.found)
			}
		})
	}
}

func TestName(t *testing.T) {
	for uid, want := range map[uint32]string{0: "root", 7: "two", 13: "13", 12: "last"} {
		if got := Name(strings.NewReader(file), uid); got != want {
			t.Errorf("%d is called %s, want %s", uid, got, want)
		}
	}
}

// What is behind the limit is not read.
func TestNameOfALongFile(t *testing.T) {
	text := strings.Repeat("#", Limit) + "\nlate:x:5:5::/late:\n"
	if got := Name(strings.NewReader(text), 5); got != "5" {
		t.Errorf("5 is called %s", got)
	}
}
