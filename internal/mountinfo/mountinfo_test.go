package mountinfo

import (
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	got := Parse(`22 27 0:21 / /proc rw,relatime shared:5 master:7 - proc proc rw
31 23 0:28 /a\040b /m\134n\011 rw - tmpfs tmpfs rw,size=1k
32 23 0:29 / /data\040of\012mine\0 ro,nosuid - fuse  rw,user_id=1
a line that is none
x 23 0:29 / /a rw - tmpfs tmpfs rw
33 y 0:29 / /a rw - tmpfs tmpfs rw
34 23 0:29 / /a rw - tmpfs
35 23 0:29 / /a - tmpfs tmpfs rw
`)
	want := []Mount{
		{22, 27, "0:21", "/", "/proc", "rw,relatime", "proc", "rw"},
		{31, 23, "0:28", "/a b", "/m\\n\t", "rw", "tmpfs", "rw,size=1k"},
		{32, 23, "0:29", "/", "/data of\nmine\\0", "ro,nosuid", "fuse", "rw,user_id=1"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}
