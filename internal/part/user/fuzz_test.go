package user

import (
	"bytes"
	"strings"
	"testing"
)

func FuzzHome(f *testing.F) {
	f.Add([]byte("root:x:0:0:root:/root:/bin/sh\n"), uint32(0))
	f.Add([]byte("a:b:-1\n:::\n\r\nx:x:4294967295:0::/x\x00y:\n"), uint32(1<<32-1))
	f.Fuzz(func(t *testing.T, file []byte, uid uint32) {
		for _, end := range []bool{false, true} {
			home, _ := Home(file, uid, end)
			if !strings.HasPrefix(home, "/") || strings.ContainsAny(home, "\n:") {
				t.Errorf("home %q of %q", home, file)
			}
		}
		if name := Name(bytes.NewReader(file), uid); name == "" || strings.ContainsAny(name, "\n:") {
			t.Errorf("name %q of %q", name, file)
		}
	})
}
