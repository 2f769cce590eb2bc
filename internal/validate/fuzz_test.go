package validate

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/sysctlname"
)

// FuzzSpec checks that no configuration makes Spec panic, that it gives the
// same answer twice though maps have no order, and that what it takes holds the
// rules that keep the host safe.
func FuzzSpec(f *testing.F) {
	for _, change := range append(cases, struct {
		name   string
		change func(s *specs.Spec)
		want   string
	}{change: func(*specs.Spec) {}}) {
		s := good()
		change.change(s)
		data, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var s specs.Spec
		if json.Unmarshal(data, &s) != nil {
			return
		}
		_, err := Spec(&s, Options{})
		if err != nil {
			_, again := Spec(&s, Options{})
			if again == nil || again.Error() != err.Error() {
				t.Fatalf("first %v, then %v", err, again)
			}
			return
		}
		if s.Process != nil && (len(s.Process.Args) == 0 || !path.IsAbs(s.Process.Cwd)) {
			t.Fatalf("process %+v was taken", s.Process)
		}
		for _, m := range s.Mounts {
			if path.Clean("/"+m.Destination) == "/" && slices.Contains(m.Options, "remount") || strings.ContainsRune(m.Destination+m.Source+m.Type, 0) {
				t.Fatalf("mount %+v was taken", m)
			}
		}
		if s.Linux != nil {
			for key := range s.Linux.Sysctl {
				p, err := sysctlname.Path(key)
				if err != nil || strings.HasPrefix(p, "kernel/core") || strings.HasPrefix(p, "vm/") {
					t.Fatalf("sysctl %q was taken, path %q", key, p)
				}
			}
		}
	})
}
