package passwd

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// endless gives line again and again, and counts what it has given.
type endless struct {
	line string
	n    int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.n > 4*limit {
		return 0, io.EOF // the test has failed by now
	}
	n := copy(p, e.line[e.n%len(e.line):])
	e.n += n
	return n, nil
}

// TestReadsAreBounded: a file without an end is read up to a bound, whether it has
// lines or not.
func TestReadsAreBounded(t *testing.T) {
	for _, line := range []string{"root:x:0:0::/root:/bin/sh\n", "x"} {
		e := &endless{line: line}
		if home := Home(e, 1000); home != "/" {
			t.Errorf("home %q", home)
		}
		if e.n > limit {
			t.Errorf("%d bytes have been read of lines %q, want at most %d", e.n, line, limit)
		}
	}
	filler := strings.Repeat("root:x:0:0::/root:/bin/sh\n", limit/26+1)
	if home := Home(strings.NewReader(filler+"me:x:1000:1000::/home/me:/bin/sh\n"), 1000); home != "/" {
		t.Errorf("behind the bound: %q", home)
	}
}

func TestHomeAndName(t *testing.T) {
	const file = "root:x:0:0:root:/root:/bin/sh\nbad\n:x:7:7:::\nme:x:1000:1000::/home/me:/bin/sh\nme2:x:1000:1::/home/2:\nrel:x:5:5::home:\nminus:x:-1:0::/minus:\n"
	for _, c := range []struct {
		uid        uint32
		home, name string
	}{
		{0, "/root", "root"}, {1000, "/home/me", "me"}, {7, "/", "7"}, {5, "/", "rel"}, {9, "/", "9"}, {1<<32 - 1, "/", "4294967295"},
	} {
		if got := Home(strings.NewReader(file), c.uid); got != c.home {
			t.Errorf("Home of %d: %q, want %q", c.uid, got, c.home)
		}
		if got := Name(strings.NewReader(file), c.uid); got != c.name {
			t.Errorf("Name of %d: %q, want %q", c.uid, got, c.name)
		}
	}
}

func FuzzHome(f *testing.F) {
	f.Add([]byte("root:x:0:0:root:/root:/bin/sh\n"), uint32(0))
	f.Add([]byte("a:b:-1\n:::\n\r\nx:x:4294967295:0::/x\x00y:\n"), uint32(1<<32-1))
	f.Fuzz(func(t *testing.T, file []byte, uid uint32) {
		home := Home(bytes.NewReader(file), uid)
		if !strings.HasPrefix(home, "/") || strings.ContainsAny(home, "\n:") {
			t.Errorf("home %q of %q", home, file)
		}
		if name := Name(bytes.NewReader(file), uid); name == "" || strings.ContainsAny(name, "\n:") {
			t.Errorf("name %q of %q", name, file)
		}
	})
}
