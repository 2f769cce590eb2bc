package life

import (
	"strings"
	"testing"

	"github.com/hutch-project/hutch/internal/part/user"
)

// inPieces gives text to a home in pieces of n bytes, and says how many it took.
func inPieces(text string, n int, uid uint32) (dir string, pieces int) {
	var h home
	for {
		piece := text[:min(n, len(text))]
		text = text[len(piece):]
		pieces++
		if dir, found := h.find([]byte(piece), uid); found {
			return dir, pieces
		}
	}
}

func TestHomeIsFoundInAnyPieces(t *testing.T) {
	const text = "root:x:0:0::/root:/bin/sh\nother:x:5:5::/other:/bin/sh\ntwo:x:5:5::/two:/bin/sh\nuser:x:7:7::/home/user:/bin/sh\nend:x:9:9::/end:"
	for uid, want := range map[uint32]string{0: "/root", 5: "/other", 7: "/home/user", 9: "/end", 11: "/"} {
		for n := 1; n <= len(text)+1; n++ {
			if got, _ := inPieces(text, n, uid); got != want {
				t.Errorf("user %d in pieces of %d: %q, want %q", uid, n, got, want)
			}
		}
	}
}

// No more is read than it takes, and never more than the limit.
func TestHomeReadsNoMoreThanItTakes(t *testing.T) {
	const n = 4096
	line := "a:x:1:1::/a:\n"
	long := strings.Repeat(line, 2*user.Limit/len(line))
	if dir, pieces := inPieces("u:x:7:7::/u:\n"+long, n, 7); dir != "/u" || pieces != 1 {
		t.Errorf("%q after %d pieces, want the first", dir, pieces)
	}
	if dir, pieces := inPieces(long+"u:x:7:7::/u:\n", n, 7); dir != "/" || pieces != user.Limit/n {
		t.Errorf("%q after %d pieces, want %d", dir, pieces, user.Limit/n)
	}
	// A file without a line costs no more.
	if dir, pieces := inPieces(strings.Repeat("x", 2*user.Limit), n, 7); dir != "/" || pieces != user.Limit/n {
		t.Errorf("%q after %d pieces, want %d", dir, pieces, user.Limit/n)
	}
	// The line that the limit cuts off is taken as it is.
	cut := strings.Repeat("#", user.Limit-20) + "\nu:x:7:7::/u:" + strings.Repeat("z", 100)
	if dir, _ := inPieces(cut, n, 7); dir != "/u" {
		t.Errorf("%q of a line that is cut off behind the directory", dir)
	}
	// Afterwards it begins anew.
	var h home
	if _, found := h.find([]byte("u:x:7:7::/u:\n"), 7); !found || h.read != 0 || h.line != nil {
		t.Errorf("found %v, and %d bytes are left", found, h.read)
	}
}
