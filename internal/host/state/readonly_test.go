package state

import (
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testneed"
)

// TestFifosOfInitCannotBeChanged: who takes init's ends writes and reads by them, and
// changes nothing of the host's inodes.
func TestFifosOfInitCannotBeChanged(t *testing.T) {
	testneed.Root(t, "mounts")
	_, d := newContainer(t, "web1")
	if err := d.CreateFifos(); err != nil {
		t.Fatal(err)
	}
	goFd, resultFd, err := d.OpenFifos()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(goFd)
	defer unix.Close(resultFd)
	for _, fd := range [...]int{goFd, resultFd} {
		path := "/proc/self/fd/" + strconv.Itoa(fd)
		for what, err := range map[string]error{
			"fchmod": unix.Fchmod(fd, 0o666), "chmod": unix.Chmod(path, 0o666), "fchown": unix.Fchown(fd, 1, 1),
			"utimes": unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{{}, {}}, 0),
		} {
			if err != unix.EROFS {
				t.Errorf("%s: got %v, want %v", what, err, unix.EROFS)
			}
		}
		if n, err := unix.Write(fd, []byte{1}); n != 1 || err != nil {
			t.Errorf("write: %d, %v", n, err)
		}
		if n, err := unix.Read(fd, make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("read: %d, %v", n, err)
		}
	}
}
