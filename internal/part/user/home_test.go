package user

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHomeOfTheImageIsAPathOrTheRoot: a directory from an image's /etc/passwd is the
// variable as it is, or not at all.
func TestHomeOfTheImageIsAPathOrTheRoot(t *testing.T) {
	root := HomeReply("/")
	for _, dir := range []string{"/home/u\x00/x", "\x00", "/" + strings.Repeat("x", unix.PathMax-1), "/" + strings.Repeat("x", 2*unix.PathMax)} {
		if got := HomeReply(dir); !slices.Equal(got, root) {
			t.Errorf("%.20q…: %.30q…, want that of the root directory", dir, got)
		}
	}
	longest := "/" + strings.Repeat("x", unix.PathMax-2)
	if got := HomeReply(longest); len(got) != homeLen || !strings.HasPrefix(string(got[homeWord:]), "HOME="+longest+"\x00") {
		t.Errorf("the longest path: %.30q…", got)
	}
}
