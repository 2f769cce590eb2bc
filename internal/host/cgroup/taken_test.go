package cgroup

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
)

// TestTakenNamesTheCgroup: what another cgroup has exclusively is the reason of a cpuset that
// is refused, and of no other error.
func TestTakenNamesTheCgroup(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a": "1\n", "b": "1\n", "own": "0\n"} {
		if err := errors.Join(os.Mkdir(dir+"/"+name, 0o700), os.WriteFile(dir+"/"+name+"/cpuset.cpu_exclusive", []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	own := cgroupfs.At(dir + "/own")
	for _, err := range []error{unix.EINVAL, unix.EBUSY} {
		hint := Taken(own, "cpus", err)
		if !strings.Contains(hint, "exclusively by the cgroup "+dir+"/a and "+dir+"/b;") || !strings.Contains(hint, "linux.resources.cpu.cpus") {
			t.Errorf("%v: %q", err, hint)
		}
	}
	if hint := Taken(own, "cpus", unix.EACCES) + Taken(own, "mems", unix.EINVAL); hint != "" {
		t.Errorf("%q", hint)
	}
}

// TestOwnCpusetBeforeTheParents: a cpuset that is given is taken in the place of the parents',
// which are taken where none is.
func TestOwnCpusetBeforeTheParents(t *testing.T) {
	for _, c := range []struct{ own, want string }{{"1", "1"}, {"", "0-1"}} {
		dir := t.TempDir()
		for name, text := range map[string]string{"cpuset.cpus": "0-1\n", "c/cpuset.cpus": ""} {
			if err := errors.Join(os.MkdirAll(dir+"/c", 0o700), os.WriteFile(dir+"/"+name, []byte(text), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		got, err := inherit(cgroupfs.Dir{FD: fd, Path: "c", Abs: dir + "/c"}, "cpuset.cpus", c.own)
		text, _ := os.ReadFile(dir + "/c/cpuset.cpus")
		if err != nil || got != c.want || strings.TrimSpace(string(text)) != c.want {
			t.Errorf("%q: got %q, %q, %v", c.own, got, text, err)
		}
	}
}
