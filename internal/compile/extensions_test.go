package compile

import (
	"errors"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/template"
	"github.com/hutch-project/hutch/internal/verify"
)

// extensions returns a configuration with what the specification has not, and crun has.
func extensions() *specs.Spec {
	s := template.Spec()
	s.Process.Terminal = false
	s.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/hook"}}}
	s.Mounts = append(s.Mounts,
		specs.Mount{Destination: "/etc/localtime", Source: "/etc/localtime", Options: []string{"bind", "copy-symlink"}},
		specs.Mount{Destination: "/etc/link", Source: "/srv/link", Options: []string{"bind", "ro", "src-nofollow"}},
		specs.Mount{Destination: "/etc/resolv.conf", Source: "/run/resolv.conf", Options: []string{"bind", "dest-nofollow"}})
	return s
}

// TestProofOfLinks: a symbolic link that is copied leads where the host's did, and one that
// is not to be followed is not.
func TestProofOfLinks(t *testing.T) {
	first := len(template.Spec().Mounts)
	for name, c := range map[string]struct {
		change func(*program.Program, *verify.Expect)
		fails  bool
	}{
		"as it is":              {func(*program.Program, *verify.Expect) {}, false},
		"another link":          {func(_ *program.Program, e *verify.Expect) { e.Links = map[int]string{first: "/etc/shadow"} }, true},
		"a bind":                {func(_ *program.Program, e *verify.Expect) { e.Links = nil }, true},
		"another by the parent": {func(_ *program.Program, e *verify.Expect) { e.LinkTags = nil }, true},
		"a source is followed": {func(p *program.Program, _ *verify.Expect) {
			for pc := range p.Parent {
				in := &p.Parent[pc]
				if flags, _ := in.Args[2].Imm(); in.NR == unix.SYS_OPEN_TREE && flags&unix.AT_SYMLINK_NOFOLLOW != 0 {
					in.Args[2] = program.Imm(int64(flags &^ unix.AT_SYMLINK_NOFOLLOW))
				}
			}
		}, true},
		"a destination is not to be followed": {func(_ *program.Program, e *verify.Expect) {
			e.Spec.Mounts[first+2].Options = []string{"bind"}
		}, true},
		"a destination is followed": {func(_ *program.Program, e *verify.Expect) {
			e.Spec.Mounts[first+1].Options = []string{"bind", "ro", "src-nofollow", "dest-nofollow"}
		}, true},
	} {
		in := inputs()["extensions"]
		out, err := Compile(in)
		if err != nil {
			t.Fatal(err)
		}
		e := in.Expect(out)
		c.change(out.Program, e)
		_, err = verify.Program(out.Program, e)
		var broken *verify.Error
		if errors.As(err, &broken) != c.fails || !c.fails && err != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
