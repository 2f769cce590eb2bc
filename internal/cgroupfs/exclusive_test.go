package cgroupfs

import (
	"errors"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// TestExclusive: of the cgroups beside one those are named that have the set for themselves,
// in the same order each time, by the files of v1, with and without a prefix, and of v2.
func TestExclusive(t *testing.T) {
	dir := t.TempDir()
	write := func(cgroup, file, text string) {
		if err := errors.Join(os.MkdirAll(dir+"/"+cgroup, 0o700), os.WriteFile(dir+"/"+cgroup+"/"+file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write("v1z", "cpuset.cpu_exclusive", "1\n")
	write("v1a", "cpuset.cpu_exclusive", "1\n")
	write("v1shared", "cpuset.cpu_exclusive", "0\n")
	write("v1mems", "cpuset.mem_exclusive", "1\n")
	write("noprefix", "cpu_exclusive", "1\n")
	write("v2root", "cpuset.cpus.partition", "root\n")
	write("v2isolated", "cpuset.cpus.partition", "isolated\n")
	write("v2member", "cpuset.cpus.partition", "member\n")
	write("own", "cpuset.cpu_exclusive", "1\n")
	write("other/below", "cpuset.cpu_exclusive", "1\n")
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, at := range []Dir{At(dir + "/own"), {fd, "own", dir + "/own"}} {
		for set, names := range map[string][]string{"cpus": {"noprefix", "v1a", "v1z", "v2isolated", "v2root"}, "mems": {"v1mems"}} {
			var want []string
			for _, name := range names {
				want = append(want, dir+"/"+name)
			}
			if got := at.Exclusive(set); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", set, got, want)
			}
		}
	}
	if got := At(dir + "/nowhere/own").Exclusive("cpus"); got != nil {
		t.Errorf("%q", got)
	}
}
