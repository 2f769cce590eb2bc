package cgroup

import (
	"maps"
	"strings"
	"testing"
)

func TestParseSub(t *testing.T) {
	for _, c := range []struct {
		rule   string
		values []string
		want   Sub
		err    string
	}{
		{"none", nil, Sub{}, ""},
		{"a path on v2", []string{"a/b"}, Sub{"": "a/b"}, ""},
		{"a leading slash is the container's cgroup", []string{"/a"}, Sub{"": "a"}, ""},
		{"the container's own", []string{"/"}, Sub{"": ""}, ""},
		{"and so is a dot", []string{"."}, Sub{"": ""}, ""},
		{"controllers", []string{"cpu,cpuacct:x", "memory:y/z"}, Sub{"cpu": "x", "cpuacct": "x", "memory": "y/z"}, ""},
		{"two without controllers", []string{"a", "b"}, nil, "missing CONTROLLER:"},
		{"an empty controller", []string{":a"}, nil, "want [CONTROLLER,...:]PATH"},
		{"an empty one of several", []string{"cpu,:a"}, nil, "is empty or stands twice"},
		{"twice", []string{"cpu:a", "cpu:b"}, nil, "stands twice"},
		{"upwards", []string{"a/../../b"}, nil, `".." is not allowed`},
		{"upwards alone", []string{".."}, nil, `".." is not allowed`},
		{"a second colon", []string{"cpu:a:b"}, nil, "want [CONTROLLER,...:]PATH"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			got, err := ParseSub(c.values)
			if c.err == "" && (err != nil || !maps.Equal(got, c.want)) {
				t.Errorf("%q: got %v, %v, want %v", c.values, got, err, c.want)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("%q: got %v, %v, want an error with %s", c.values, got, err, c.err)
			}
		})
	}
}

// TestOfInit: a cgroup is below the container's by whole names alone, whatever these are.
func TestOfInit(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		if l.Mode == V1 {
			t.Skip("needs cgroup v2")
		}
		path := unique()
		for _, name := range []string{"a:b", ":", "cpu,memory:x:", "..:..", "a b\t"} { // of the image's choice
			p, _ := planned(t, l, path+"/named/"+name)
			pid := born(t, p, "echo ready; exec sleep 1000").Process.Pid
			base := strings.TrimSuffix(p.Manager().Paths()[""], "/"+name)
			if sub, err := (Paths{"": base}).OfInit(pid); err != nil || !maps.Equal(sub, Sub{"": name}) {
				t.Errorf("%q: got %v, %v", name, sub, err)
			}
		}
		p, _ := planned(t, l, path+"/web10/sub")
		pid := born(t, p, "echo ready; exec sleep 1000").Process.Pid
		base := strings.TrimSuffix(p.Manager().Paths()[""], "/web10/sub")
		for _, c := range []struct {
			dir  string
			want string // empty is an error
		}{
			{"/web10", "sub"}, {"", "web10/sub"}, {"/web1", ""}, {"/web10/su", ""}, {"/web10/sub", ""}, {"/other", ""},
		} {
			sub, err := Paths{"": base + c.dir}.OfInit(pid)
			switch {
			case c.want == "" && (err == nil || !strings.Contains(err.Error(), "is not below the container's")):
				t.Errorf("%q: got %v, %v, want an error", c.dir, sub, err)
			case c.want != "" && (err != nil || !maps.Equal(sub, Sub{"": c.want})):
				t.Errorf("%q: got %v, %v, want %q", c.dir, sub, err, c.want)
			}
		}
	})
}

// FuzzParseSub: a sub-cgroup is below the container's, by names.
func FuzzParseSub(f *testing.F) {
	for _, s := range []string{"", "/", "a", ".", "..", "cpu:a/b", "a,b:../x", "cpu:/a//./b", ":", "a:b:c", "a/..", "...", "a\x00b", "a\nb"} {
		f.Add(s, "memory:x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, values := range [][]string{{a}, {a, b}} {
			sub, err := ParseSub(values)
			if err != nil {
				continue
			}
			for controller, path := range sub {
				if strings.ContainsAny(controller, ",:") {
					t.Errorf("%q: controller %q", values, controller)
				}
				if path == "" {
					continue
				}
				for name := range strings.SplitSeq(path, "/") {
					if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "\x00\n") {
						t.Errorf("%q: path %q", values, path)
					}
				}
			}
		}
		if _, path, ok := parseSelf(a); ok && !strings.HasPrefix(path, "/") {
			t.Errorf("parseSelf %q: path %q", a, path)
		}
	})
}
