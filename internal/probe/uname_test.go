package probe

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestUname: the kernel's files say the same.
func TestUname(t *testing.T) {
	is, err := Uname()
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"osrelease": is.Release, "hostname": is.Nodename, "domainname": is.Domainname} {
		want, err := os.ReadFile("/proc/sys/kernel/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if got != strings.TrimSpace(string(want)) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// TestFileSystems: with a device and without one.
func TestFileSystems(t *testing.T) {
	got := FileSystems()
	if !slices.Contains(got, "proc") || slices.Contains(got, "nodev") || slices.Contains(got, "") {
		t.Errorf("got %q", got)
	}
}

func TestModuleOf(t *testing.T) {
	const modules = "alias fs-fuseblk fuse\nalias fs-fuse fuse\n"
	for fs, want := range map[string]bool{"fuse": true, "fuseblk": true, "fus": false, "": false} {
		if got := ModuleOf(fs, modules); got != want {
			t.Errorf("%q: got %v", fs, got)
		}
	}
}
