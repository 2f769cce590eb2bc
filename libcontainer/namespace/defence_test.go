package namespace

import (
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hutch/libcontainer/program"
)

// TestJoinedNamespaceIsOfItsType: a file that is a namespace of another type than the
// configuration says, or none at all, is refused before there is a child.
func TestJoinedNamespaceIsOfItsType(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		rule string
		n    specs.LinuxNamespace
		want string // in the error; empty for none
	}{
		{"its own type", specs.LinuxNamespace{Type: specs.UTSNamespace, Path: "/proc/self/ns/uts"}, ""},
		{"another type", specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: "/proc/self/ns/uts"}, "is a namespace of another type"},
		{"a user namespace for a pid namespace", specs.LinuxNamespace{Type: specs.PIDNamespace, Path: "/proc/self/ns/user"}, "is a namespace of another type"},
		{"no namespace", specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: file}, "is not a namespace file"},
		{"nothing", specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: file + "x"}, "no such file"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			s, err := New([]specs.LinuxNamespace{test.n})
			if err != nil {
				t.Fatal(err)
			}
			b := program.New()
			s.Open(b)
			b.Exit(0)
			p, err := b.Program()
			if err != nil {
				t.Fatal(err)
			}
			c, err := program.Spawn(p, &program.Options{Cgroup: -1})
			if err == nil {
				c.Kill()
				c.Close()
			}
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
