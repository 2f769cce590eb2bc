package life

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// TestPidFileIsReplaced: a link at its path, and links at names that could be guessed, lead
// nowhere, nor do they keep the file from being written.
func TestPidFileIsReplaced(t *testing.T) {
	dir := t.TempDir()
	canary := filepath.Join(dir, "canary")
	must(t, os.WriteFile(canary, []byte("precious"), 0o600))
	path := filepath.Join(dir, "pid")
	for _, name := range []string{"pid", ".pid." + strconv.Itoa(os.Getpid()), ".pid.0", ".pid.new", ".pid.tmp"} {
		must(t, os.Symlink(canary, filepath.Join(dir, name)))
	}
	must(t, writePidFile(path, 4711))
	for file, want := range map[string]string{path: "4711", canary: "precious"} {
		if got, err := os.ReadFile(file); string(got) != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", file, got, err, want)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 6 {
		t.Errorf("left: %v", entries)
	}
	if err := writePidFile(filepath.Join(dir, "absent", "pid"), 1); err == nil {
		t.Error("written into a directory that is not there")
	}
}
