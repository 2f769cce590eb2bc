package libcontainer

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPidFileTakesNoFileOfAnother: in a directory that others write to, a file that
// one of them has put in the place of the temporary one is neither followed nor
// written to, and a link in the place of the pid file is replaced.
func TestPidFileTakesNoFileOfAnother(t *testing.T) {
	const precious = "precious"
	for name, plant := range map[string]func(canary, at string) error{
		"link":          os.Symlink,
		"second name":   os.Link,
		"dangling link": func(_, at string) error { return os.Symlink(filepath.Join(filepath.Dir(at), "new"), at) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			canary, path := filepath.Join(dir, "canary"), filepath.Join(dir, "pid")
			if err := os.WriteFile(canary, []byte(precious), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := plant(canary, filepath.Join(dir, ".pid."+strconv.Itoa(os.Getpid()))); err != nil {
				t.Fatal(err)
			}
			if err := writePidFile(path, 42); !errors.Is(err, unix.EEXIST) {
				t.Errorf("got %v, want EEXIST", err)
			}
			if text, err := os.ReadFile(canary); err != nil || string(text) != precious {
				t.Errorf("the other file has %q, %v", text, err)
			}
			if _, err := os.Lstat(filepath.Join(dir, "new")); err == nil {
				t.Error("a file was made behind the link")
			}
		})
	}
	dir := t.TempDir()
	canary, path := filepath.Join(dir, "canary"), filepath.Join(dir, "pid")
	if err := errors.Join(os.WriteFile(canary, []byte(precious), 0o600), os.Symlink(canary, path)); err != nil {
		t.Fatal(err)
	}
	if err := writePidFile(path, 42); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(canary)
	pid, pidErr := os.ReadFile(path)
	if err != nil || pidErr != nil || string(text) != precious || string(pid) != "42" {
		t.Errorf("canary %q, %v; pid file %q, %v", text, err, pid, pidErr)
	}
}
