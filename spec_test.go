package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSpecFollowsNoLinkOfOthers: config.json is written where the caller's own links lead, not
// where another user's do, and in the place of nothing that is there.
func TestSpecFollowsNoLinkOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: another user's link")
	}
	dir := t.TempDir()
	for _, err := range []error{
		os.Mkdir(dir+"/kept", 0o755), os.Mkdir(dir+"/theirs", 0o755), os.Symlink(dir+"/kept", dir+"/theirs/way"),
		os.Symlink(dir+"/kept/new", dir+"/theirs/config.json"), os.Symlink(dir+"/kept", dir+"/own"), os.Symlink("nothing", dir+"/kept/link"),
		os.Lchown(dir+"/theirs", 1000, 1000), os.Lchown(dir+"/theirs/way", 1000, 1000), os.Lchown(dir+"/theirs/config.json", 1000, 1000),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := writeNew(dir+"/theirs/way/config.json", nil); !errors.Is(err, unix.ELOOP) {
		t.Errorf("behind another user's link: %v", err)
	}
	if err := writeNew(dir+"/own/config.json", []byte("{}")); err != nil {
		t.Error(err)
	}
	for _, path := range []string{"/own/config.json", "/theirs/config.json", "/own/link"} {
		if err := writeNew(dir+path, nil); err == nil || !strings.Contains(err.Error(), "exists. Remove it first") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if names, err := filepath.Glob(dir + "/kept/*"); err != nil || len(names) != 2 {
		t.Errorf("there are %q, %v", names, err)
	}
}
