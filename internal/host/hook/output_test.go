package hook

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestOutputGoesToFiles: what hooks write is appended to the files, one after the other,
// and an error shows the stream that has none.
func TestOutputGoesToFiles(t *testing.T) {
	path, dir := script(t, "cat >/dev/null; echo out; echo err >&2; exit $1")
	hooks := func(status string) []specs.Hook {
		return []specs.Hook{{Path: path, Args: []string{path, "0"}}, {Path: path, Args: []string{path, status}}}
	}
	out, err := filepath.Join(dir, "out"), filepath.Join(dir, "err")
	read := func(name string) string {
		text, _ := os.ReadFile(name)
		return string(text)
	}
	for _, c := range []struct {
		name            string
		o               Output
		stdout, stderr  string
		failure, hidden string
	}{
		{"both", Output{out, err}, "out\nout\n", "err\nerr\n", " (its output is in " + out + " and " + err + ")", "out;"},
		{"output", Output{Stdout: out}, "out\nout\n", "", "3 (its output is in " + out + "): err", "out;"},
		{"errors", Output{Stderr: err}, "", "err\nerr\n", "3 (what it says is in " + err + "): out", "err;"},
		{"one file", Output{out, out}, "out\nerr\nout\nerr\n", "", " (its output is in " + out + ")", ": out"},
	} {
		t.Run(c.name, func(t *testing.T) {
			os.Remove(out)
			os.Remove(err)
			failure := Run(hooks("3"), "poststart", nil, Options{Output: c.o})
			if read(out) != c.stdout || read(err) != c.stderr {
				t.Errorf("output %q, errors %q", read(out), read(err))
			}
			if failure == nil || !strings.Contains(failure.Error(), c.failure) || strings.Contains(failure.Error(), c.hidden) {
				t.Errorf("%v; want %q", failure, c.failure)
			}
		})
	}
}

// TestOutputFileThatCannotBe is an error that names the annotation, and the hook does not
// run.
func TestOutputFileThatCannotBe(t *testing.T) {
	path, dir := script(t, "echo ran >ran")
	err := Run([]specs.Hook{{Path: path}}, "prestart", nil, Options{Dir: dir, Output: Output{Stdout: dir + "/no/such"}})
	if err == nil || !strings.Contains(err.Error(), "hooks.prestart[0]: annotations[run.oci.hooks.stdout]: open "+dir+"/no/such: no such file") {
		t.Error(err)
	}
	if _, err := os.Stat(dir + "/ran"); err == nil {
		t.Error("the hook ran")
	}
}

// TestOutputOfAnnotations: a relative path is the bundle's.
func TestOutputOfAnnotations(t *testing.T) {
	got := OutputOf(map[string]string{StdoutAnnotation: "out", StderrAnnotation: "/var/err"}, "/bundle")
	if got != (Output{"/bundle/out", "/var/err"}) || OutputOf(nil, "/bundle") != (Output{}) {
		t.Errorf("%+v", got)
	}
}

// TestOutputFollowsNoLinkOfOthers: a bundle that another user has unpacked has no link
// there that has the runtime write elsewhere.
func TestOutputFollowsNoLinkOfOthers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	path, dir := script(t, "echo out")
	victim, link := filepath.Join(t.TempDir(), "victim"), filepath.Join(dir, "link")
	for _, err := range []error{os.WriteFile(victim, nil, 0o600), os.Symlink(victim, link), os.Lchown(link, 4242, 4242), os.Chown(dir, 4242, 4242)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	err := Run([]specs.Hook{{Path: path}}, "prestart", nil, Options{Output: Output{Stdout: link}})
	if text, _ := os.ReadFile(victim); err == nil || len(text) != 0 {
		t.Errorf("%v; written: %q", err, text)
	}
}
