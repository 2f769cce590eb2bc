package inspect

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/internal/life"
)

// TestWrongValuesAreAllTold: values of another kind than their properties keep nothing else from
// being told, and count for no more than themselves.
func TestWrongValuesAreAllTold(t *testing.T) {
	change := func(text string) string {
		for old, now := range map[string]string{
			`"args": [
   "sh"
  ]`: `"args": "sh"`,
			`"rootfs"`: `"nope"`, `"cwd": "/"`: `"cwd": "rel"`, `"type": "network"`: `"type": 5`, `"source": "proc"`: `"source": []`,
		} {
			if !strings.Contains(text, old) {
				t.Fatalf("no %s in %s", old, text)
			}
			text = strings.Replace(text, old, now, 1)
		}
		return text
	}
	b := newBundle(t)
	report := b.report(change)
	got := lines(report)
	for _, want := range []string{
		"error: process.args: want an array, found a string\n", "error: process.cwd: \"rel\" is not an absolute path; begin it with /\n",
		"error: root.path: open the root file system ", "error: linux.namespaces[2].type: want a string, found a number\n",
		"error: mounts[0].source: want a string, found an array\n",
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("not once %q in\n%s", want, got)
		}
	}
	if n := len(report.Findings); n != 5 {
		t.Errorf("%d findings:\n%s", n, got)
	}
	// The last is no JSON, behind which nothing is known.
	b.file("config.json", "{\"hostname\": 1,\n\"process\" {}}", 0o644)
	report, err := Bundle(&life.Runtime{Root: t.TempDir(), CgroupManager: life.Disabled}, &life.CreateOptions{Bundle: b.dir})
	if err != nil {
		t.Fatal(err)
	}
	if got := lines(report); !strings.Contains(got, "hostname: want a string") || !strings.Contains(got, "want") || len(report.Findings) != 2 {
		t.Error(got)
	}
}

// TestConfigurationIsReadOnce: one that comes by a pipe is there once, be it good, with wrong
// values or no JSON at all.
func TestConfigurationIsReadOnce(t *testing.T) {
	b := newBundle(t)
	good, err := json.Marshal(b.spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, want string }{
		{string(good), ""},
		{string(good[:len(good)-1]) + `,"hostname":5}`, "error: hostname: want a string, found a number\n"},
		{`{"hostname":`, "error: hostname: "},
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := w.WriteString(c.text); err != nil {
			t.Fatal(err)
		}
		w.Close()
		report, err := Bundle(&life.Runtime{Root: t.TempDir(), CgroupManager: life.Disabled},
			&life.CreateOptions{Bundle: b.dir, ConfigFile: "/dev/fd/" + strconv.Itoa(int(r.Fd()))})
		if err != nil {
			t.Fatal(err)
		}
		if got := lines(report); c.want == "" && strings.Contains(got, "error: ") || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.text, got, c.want)
		}
	}
}
