package rdt

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// tree stands in for a resctrl file system: no processor of the tests has one.
func tree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	old := made
	made = func(dir string) {
		for name, text := range map[string]string{"schemata": "    MB:0=100\n    L3:0=7ff;1=7ff\n", "tasks": ""} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.MkdirAll(filepath.Join(dir, "mon_groups"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { made = old })
	made(root)
	return root
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestOwnGroup(t *testing.T) {
	root := tree(t)
	g, err := Plan(root, "web1", &specs.LinuxIntelRdt{
		L3CacheSchema: "L3:0=f", MemBwSchema: "MB:0=20", Schemata: []string{"L2:0=3"}, EnableMonitoring: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Create(); err != nil {
		t.Fatal(err)
	}
	dir := root + "/web1"
	if got := content(t, dir+"/schemata"); !strings.HasPrefix(got, "L3:0=f\nMB:0=20\nL2:0=3\n") {
		t.Errorf("schemata %q", got)
	}
	if err := g.Join(4711); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, dir + "/mon_groups/web1"} {
		if got := content(t, d+"/tasks"); got != "4711" {
			t.Errorf("%s/tasks %q", d, got)
		}
	}
	if !g.Own || g.Monitor != dir+"/mon_groups/web1" {
		t.Errorf("%+v", g)
	}
}

func TestNamedGroup(t *testing.T) {
	root := tree(t)
	gold := root + "/gold"
	if err := os.Mkdir(gold, 0o755); err != nil {
		t.Fatal(err)
	}
	made(gold)
	for name, c := range map[string]struct {
		r    specs.LinuxIntelRdt
		want error
		dir  string
	}{
		"as it is":               {specs.LinuxIntelRdt{ClosID: "gold"}, nil, gold},
		"the default group":      {specs.LinuxIntelRdt{ClosID: "/"}, nil, root},
		"the same values":        {specs.LinuxIntelRdt{ClosID: "gold", L3CacheSchema: "L3:1=07FF;0=7ff", MemBwSchema: "MB:0=100"}, nil, gold},
		"another value":          {specs.LinuxIntelRdt{ClosID: "gold", L3CacheSchema: "L3:0=3ff"}, ErrOther, ""},
		"another resource":       {specs.LinuxIntelRdt{ClosID: "gold", Schemata: []string{"L2:0=1"}}, ErrOther, ""},
		"none of that name":      {specs.LinuxIntelRdt{ClosID: "silver"}, ErrNoGroup, ""},
		"none, but with a value": {specs.LinuxIntelRdt{ClosID: "bronze", MemBwSchema: "MB:0=10"}, nil, root + "/bronze"},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := Plan(root, "web1", &c.r)
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Create(); !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			if c.want != nil {
				return
			}
			if g.Dir != c.dir || g.Own {
				t.Errorf("%+v, want %s, which stays", g, c.dir)
			}
			if err := g.Remove(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(c.dir); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	for _, r := range []specs.LinuxIntelRdt{
		{ClosID: ".."}, {ClosID: "a/b"}, {ClosID: "info"}, {ClosID: "a\nb"},
		{MemBwSchema: "L3:0=1"}, {MemBwSchema: "MB:0=1\nMB:1=2"}, {Schemata: []string{"L3:0=1\n"}}, {L3CacheSchema: "7ff"},
	} {
		if g, err := Plan("/sys/fs/resctrl", "web1", &r); err == nil || !strings.HasPrefix(err.Error(), "linux.intelRdt.") {
			t.Errorf("%+v: %+v, %v", r, g, err)
		}
	}
}

// TestNothingIsLeft: the monitoring group cannot be made, as when there are too many.
func TestNothingIsLeft(t *testing.T) {
	root := t.TempDir()
	g, err := Plan(root, "web1", &specs.LinuxIntelRdt{EnableMonitoring: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Create(); err == nil || !strings.Contains(err.Error(), "enableMonitoring") {
		t.Errorf("%v", err)
	}
	if left, _ := os.ReadDir(root); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// TestOthersGroupsStay: a directory with the container's id that was there before
// is not removed at delete, nor a monitoring group that stands in the way.
func TestOthersGroupsStay(t *testing.T) {
	root := tree(t)
	dir := root + "/web1"
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	made(dir)
	g, err := Plan(root, "web1", &specs.LinuxIntelRdt{MemBwSchema: "MB:0=100"})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Create(); err != nil || g.Own {
		t.Errorf("%v, %+v", err, g)
	}
	monitor := dir + "/mon_groups/web1"
	if err := os.Mkdir(monitor, 0o755); err != nil {
		t.Fatal(err)
	}
	if g, err = Plan(root, "web1", &specs.LinuxIntelRdt{EnableMonitoring: true}); err != nil {
		t.Fatal(err)
	}
	if err := g.Create(); !errors.Is(err, os.ErrExist) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(monitor); err != nil {
		t.Error(err)
	}
}

// TestSetIsTakenBack: undo writes the former values of what was changed.
func TestSetIsTakenBack(t *testing.T) {
	root := tree(t)
	file := root + "/gold/schemata"
	if err := os.Mkdir(root+"/gold", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("    MB:0=100\n    L3:0=7ff;1=7ff\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	undo, err := Set(root+"/gold", "L3:0=f", "")
	if err != nil {
		t.Fatal(err)
	}
	if got := content(t, file); !strings.HasPrefix(got, "L3:0=f\n") {
		t.Errorf("%q", got)
	}
	if err := undo(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, file); !strings.HasPrefix(got, "L3:0=7ff;1=7ff\n") {
		t.Errorf("after undo: %q", got)
	}
}

func TestFind(t *testing.T) {
	const line = "50 24 0:45 / /sys/fs/resctrl rw,nosuid shared:12 - resctrl resctrl rw\n"
	if dir, ok := find("1 2 0:3 / /proc rw - proc proc rw\n" + line); !ok || dir != "/sys/fs/resctrl" {
		t.Errorf("%q, %v", dir, ok)
	}
	for _, other := range []string{"", "1 2 0:3 / /x rw - tmpfs resctrl rw\n", strings.Replace(line, " / ", " /group ", 1)} {
		if dir, ok := find(other); ok {
			t.Errorf("%q: %q", other, dir)
		}
	}
}
