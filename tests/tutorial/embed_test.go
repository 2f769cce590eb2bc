package tutorial

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hutch-project/hutch/tests/testruntime"
)

// TestEmbed builds examples/embed, the program that has Hutch as a library, and
// lets it run a container.
func TestEmbed(t *testing.T) {
	dir := t.TempDir()
	program, bundle := filepath.Join(dir, "embed"), filepath.Join(dir, "bundle")
	if err := testruntime.Build(program, "../../examples/embed"); err != nil {
		t.Fatal(err)
	}
	for _, line := range [...]string{
		"mkdir -p bundle/rootfs/bin bundle/rootfs/proc",
		"cp /bin/busybox bundle/rootfs/bin/sh",
		`echo '{"ociVersion": "1.3.0", "root": {"path": "rootfs"},
			"process": {"cwd": "/", "args": ["/bin/sh", "-c", "echo I am $$"], "user": {"uid": 0, "gid": 0}},
			"linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]}}' >bundle/config.json`,
	} {
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	before := namesOnTheMachine(t)
	run := exec.Command(program, bundle)
	run.Env = append(os.Environ(), "TMPDIR="+dir)
	out, err := run.CombinedOutput()
	if want := "before start: created\nI am 1\nat the end: status 0\n"; err != nil || string(out) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
	if after := namesOnTheMachine(t); after != before {
		t.Errorf("left behind: before\n%s\nafter\n%s", before, after)
	}
	if left, _ := filepath.Glob(dir + "/embed-*"); len(left) > 0 {
		t.Errorf("state left behind: %q", left)
	}
	if err := exec.Command(program, dir).Run(); err == nil {
		t.Error("a directory without config.json is taken for a bundle")
	}
}
