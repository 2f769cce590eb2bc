package systemd

import (
	"strings"
	"testing"
)

func TestParsePath(t *testing.T) {
	long := strings.Repeat("x", 250)
	for _, c := range []struct {
		path, id string
		user     bool
		unit     Unit
		cgroup   string
	}{
		{"", "web1", false, Unit{"system.slice", "hutch-web1.scope"}, "/system.slice/hutch-web1.scope"},
		{"", "a+b", true, Unit{"user.slice", `hutch-a\x2bb.scope`}, `/user.slice/hutch-a\x2bb.scope`},
		{"system.slice:docker:ID", "", false, Unit{"system.slice", "docker-ID.scope"}, "/system.slice/docker-ID.scope"},
		{":cri:ID", "", true, Unit{"user.slice", "cri-ID.scope"}, "/user.slice/cri-ID.scope"},
		{"kubepods-burstable-pod1_2.slice:cri-containerd:ID", "", false,
			Unit{"kubepods-burstable-pod1_2.slice", "cri-containerd-ID.scope"},
			"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-ID.scope"},
		{"-:p:n", "", false, Unit{"-.slice", "p-n.scope"}, "/p-n.scope"},
		{"-.slice:p:n", "", false, Unit{"-.slice", "p-n.scope"}, "/p-n.scope"},
		{"a.slice:p:b-c.slice", "", false, Unit{"a.slice", "b-c.slice"}, "/b.slice/b-c.slice"},
		{"a.slice::n", "", false, Unit{"a.slice", "-n.scope"}, "/a.slice/-n.scope"},
		{"a.slice:cpu.x:n", "", false, Unit{"a.slice", "cpu.x-n.scope"}, "/a.slice/_cpu.x-n.scope"},
		{"a.slice:_p:n", "", false, Unit{"a.slice", "_p-n.scope"}, "/a.slice/__p-n.scope"},
		{"..slice:.:.", "", false, Unit{"..slice", ".-..scope"}, "/_..slice/_.-..scope"},
	} {
		u, err := ParsePath(c.path, c.id, c.user)
		if err != nil || u != c.unit {
			t.Errorf("ParsePath(%q, %q, %v) = %v, %v, want %v", c.path, c.id, c.user, u, err, c.unit)
			continue
		}
		if got := u.Path(); got != c.cgroup {
			t.Errorf("%v.Path() = %q, want %q", u, got, c.cgroup)
		}
	}
	for path, want := range map[string]string{
		"/docker/ID":            "slice:prefix:name",
		"a:b":                   "slice:prefix:name",
		"a.slice:b:c:d":         "slice:prefix:name",
		"a.slice:b:":            "third part",
		"a:b:c":                 `does not end with ".slice"`,
		".slice:b:c":            "empty",
		"a--b.slice:b:c":        "empty",
		"-a.slice:b:c":          "empty",
		"a-.slice:b:c":          "empty",
		"a.slice:b:c-.slice":    "empty",
		"a.slice/b.slice:b:c":   "'/' cannot be in a unit's name",
		"../a.slice:b:c":        "'/' cannot",
		"a.slice:..:../../c":    "'/' cannot",
		"a.slice:b:c d":         "' ' cannot",
		"a.slice:b:c'":          `'\'' cannot`,
		"a.slice:b:é":           "'é' cannot",
		"a.slice:b:c\x00":       `'\x00' cannot`,
		"a.slice:b:" + long:     "longer than 255",
		long + "a.slice:b:c":    "longer than 255",
		"a.slice:b:\xff":        "cannot",
		"a.slice:b:x.slice/..":  "'/' cannot",
		"::-.slice":             "is the root slice",
		"system.slice:b:c.sl\n": `'\n' cannot`,
	} {
		u, err := ParsePath(path, "id", false)
		if err == nil || !strings.HasPrefix(err.Error(), "linux.cgroupsPath: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("ParsePath(%q) = %v, %v, want an error with %q", path, u, err, want)
		}
	}
}

// FuzzParsePath wants no path that leaves its place.
func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"a-b.slice:p:n", "-:p:n", "::..", "../x.slice:a:b", "a.slice:p:c-d.slice", "::-.slice"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParsePath(s, "id", false)
		if err != nil {
			return
		}
		for c := range strings.SplitSeq(strings.TrimPrefix(u.Path(), "/"), "/") {
			if c == "" || c == "." || c == ".." || len(c) > longest+1 {
				t.Errorf("ParsePath(%q).Path() = %q", s, u.Path())
			}
		}
	})
}

func TestObjectPath(t *testing.T) {
	if got, want := escapePath(`1a-b_9.scope`), "_31a_2db_5f9_2escope"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
