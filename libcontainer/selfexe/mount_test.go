package selfexe

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOtherMountIsReadOnly: the container may open what its processes map again, by
// /proc/PID/map_files, where it has the capabilities for that.
func TestOtherMountIsReadOnly(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	fd, err := otherMount()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil || fs.Flags&unix.ST_RDONLY == 0 {
		t.Errorf("flags %#x, %v; want ST_RDONLY", fs.Flags, err)
	}
}
