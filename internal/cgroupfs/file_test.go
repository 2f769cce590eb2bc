package cgroupfs

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testplain"
)

func TestMain(m *testing.M) { testplain.Main(m) }

// TestBeneath: nothing outside of the directory is opened, by a link, upwards, from
// the root, or across a mount.
func TestBeneath(t *testing.T) {
	open := func(path string) int {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	dir := t.TempDir()
	if err := errors.Join(os.MkdirAll(dir+"/a/b", 0o700), os.Symlink("b", dir+"/a/inside"), os.Symlink("/", dir+"/a/root")); err != nil {
		t.Fatal(err)
	}
	top := open(dir)
	for _, c := range []struct {
		dir  int
		path string
		want unix.Errno
	}{
		{top, "a/b", 0}, {top, "a/../a/b", 0}, {top, "a/inside", unix.ELOOP}, {top, "a/root/etc", unix.ELOOP},
		{top, "..", unix.EXDEV}, {top, "a/../../x", unix.EXDEV}, {top, "/etc", unix.EXDEV}, {open("/"), "proc", unix.EXDEV},
	} {
		fd, err := Beneath(c.dir, c.path, unix.O_PATH)
		if err == nil {
			unix.Close(fd)
		}
		if c.want == 0 && err != nil || c.want != 0 && err != c.want {
			t.Errorf("%s: got %v, want %v", c.path, err, c.want)
		}
	}
}
