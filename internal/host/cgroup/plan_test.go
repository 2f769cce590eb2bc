package cgroup

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const self1 = `9:name=systemd:/user.slice/s.scope
5:cpu,cpuacct:/user.slice
3:memory:/
0::/user.slice/s.scope
`

func layout(mode Mode, self string) *Layout {
	l := &Layout{Root: "/r", Mode: mode, self: self}
	if mode == V2 {
		l.hierarchies = []hierarchy{{fd: -1}}
		return l
	}
	for line := range strings.Lines(self) {
		name, own, _ := parseSelf(line)
		dir := strings.TrimPrefix(name, "name=")
		if name == "" {
			if mode != Hybrid {
				continue
			}
			dir = "unified"
		}
		l.hierarchies = append(l.hierarchies, hierarchy{name: name, dir: dir, own: own, fd: -1})
	}
	return l
}

func TestPlanPaths(t *testing.T) {
	for _, c := range []struct {
		name       string
		mode       Mode
		self, path string
		want       Paths
	}{
		{"v2 absolute", V2, self1, "/docker/x", Paths{"": "/r/docker/x"}},
		{"v2 relative is beside the own cgroup", V2, self1, "a/b", Paths{"": "/r/user.slice/a/b"}},
		{"v2 empty is the id", V2, self1, "", Paths{"": "/r/user.slice/id"}},
		{"v2 in the root", V2, "0::/\n", "a", Paths{"": "/r/a"}},
		{"colons mean nothing", V2, self1, "/s.slice:docker:x", Paths{"": "/r/s.slice:docker:x"}},
		{"doubled slashes and dots", V2, self1, "//a/./b/", Paths{"": "/r/a/b"}},
		{"v1 absolute", V1, self1, "/x", Paths{"name=systemd": "/r/systemd/x", "cpu,cpuacct": "/r/cpu,cpuacct/x", "memory": "/r/memory/x"}},
		{"hybrid has the unified one too", Hybrid, "3:memory:/\n0::/\n", "/x", Paths{"memory": "/r/memory/x", "": "/r/unified/x"}},
		{"no cgroups, none asked for", None, "", "", Paths{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := layout(c.mode, c.self).Plan(c.path, "id")
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Paths(); !maps.Equal(got, c.want) {
				t.Errorf("%q: got %v, want %v", c.path, got, c.want)
			}
		})
	}
}

func TestPlanRefuses(t *testing.T) {
	for _, c := range []struct {
		name, self, path, want string
	}{
		{"dots", self1, "/a/../../b", `linux.cgroupsPath: "/a/../../b": ".." is not allowed`},
		{"dots relative", self1, "..", `".." is not allowed`},
		{"root", self1, "/", "names the root"},
		{"root in disguise", self1, "/.//", "names the root"},
		{"NUL", self1, "/a\x00b", "NUL"},
		{"newline", self1, "/a\nb", "newline"},
		{"long component", self1, "/" + strings.Repeat("a", 256), "longer than 255"},
		{"long path", self1, strings.Repeat("/abc", 1000), "longer than"},
		{"outside of the namespace", "0::/../x/y\n", "a", "outside of its cgroup namespace; give an absolute linux.cgroupsPath"},
		{"no own cgroup", "5:cpu:/\n", "a", "no line for cgroup v2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := layout(V2, c.self).Plan(c.path, "id")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q: got %v, %v, want %q", c.path, p, err, c.want)
			}
		})
	}
	if _, err := layout(None, "").Plan("/x", "id"); !errors.Is(err, ErrNoCgroups) {
		t.Errorf("none: got %v, want %v", err, ErrNoCgroups)
	}
	if p, err := layout(None, "").Plan("", "id"); err != nil || len(p.Paths()) != 0 {
		t.Errorf("none, without a path: %v, %v", p, err)
	}
}

func TestDetectWithoutCgroups(t *testing.T) {
	for _, root := range []string{t.TempDir(), filepath.Join(t.TempDir(), "absent")} {
		l, err := Detect(root)
		if err != nil || l.Mode != None {
			t.Errorf("%s: got %v, %v", root, l, err)
		}
		l.Close()
	}
}

func TestDetectFollowsControllerLinks(t *testing.T) {
	// A tree as distributions have it that mount "cpuacct,cpu": the mount is
	// found by the link. The mounts themselves are the machine's.
	dir := ""
	for _, c := range []string{"cpu", "cpuacct", "memory", "freezer"} {
		if fd, ok := openKind(-1, Root+"/"+c, 0x27e0eb); ok {
			l := Layout{hierarchies: []hierarchy{{fd: fd}}}
			l.Close()
			dir = Root + "/" + c
		}
	}
	if dir == "" {
		t.Skip("needs a cgroup v1 mount")
	}
	root := t.TempDir()
	if err := os.Symlink(dir, filepath.Join(root, "cpu")); err != nil {
		t.Fatal(err)
	}
	l, err := detect(root, func() (string, error) { return "4:cpu,cpuacct:/\n0::/\n", nil })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.Mode != V1 || len(l.hierarchies) != 1 || l.hierarchies[0].name != "cpu,cpuacct" || l.hierarchies[0].dir != "cpu" {
		t.Errorf("got %+v", l)
	}
}

func TestVisible(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		p, _ := planned(t, l, unique()+"/in")
		c := &p.dirs[0]
		for own, want := range map[string]string{
			"/":                       "",
			"/" + c.Path:              c.Path,
			"/docker/0123/" + c.Path:  c.Path, // only /docker/0123 is mounted
			"/docker/hutch-absent-42": "",
		} {
			if got := visible(c.FD, own); got != want {
				t.Errorf("%s: got %q, want %q", own, got, want)
			}
		}
	})
}

func TestMounts(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		p, err := l.Plan("/"+unique(), "unused")
		if err != nil {
			t.Fatal(err)
		}
		ms := p.Mounts()
		if len(ms) == 0 {
			t.Fatal("no mounts")
		}
		for _, m := range ms {
			if p.Paths()[m.Name] != m.Mountpoint+m.Path {
				t.Errorf("%+v: Paths has %s", m, p.Paths()[m.Name])
			}
			if named := strings.HasPrefix(m.Name, "name=") || m.Name == ""; named != (len(m.Controllers) == 0) {
				t.Errorf("%+v: controllers", m)
			}
		}
	})
}

func BenchmarkCreateAndRemove(b *testing.B) {
	if os.Getuid() != 0 {
		b.Skip("needs root")
	}
	name := unique()
	b.ReportAllocs()
	for b.Loop() {
		l, err := Detect(Root)
		if err != nil {
			b.Fatal(err)
		}
		p, err := l.Plan("", name)
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Create(); err != nil {
			b.Fatal(err)
		}
		e, err := p.Entry(true)
		if err != nil {
			b.Fatal(err)
		}
		e.Close()
		if err := p.Manager().Remove(); err != nil {
			b.Fatal(err)
		}
		l.Close()
	}
}
