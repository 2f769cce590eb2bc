package sys

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOpenat2InATreeThatIsRenamed: a rename anywhere, while a ".." is resolved, fails openat2 once.
// One of thirty calls with ten of them is failed; with a hundred, most, and a thousand in a row.
func TestOpenat2InATreeThatIsRenamed(t *testing.T) {
	dir := t.TempDir()
	path := strings.Repeat("a/../", 10) + "a"
	if err := os.Mkdir(filepath.Join(dir, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(root)
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		x, y := filepath.Join(dir, "x"), filepath.Join(dir, "y")
		_ = os.Mkdir(x, 0o755)
		for {
			select {
			case <-end:
				return
			default:
				_ = unix.Rename(x, y)
				x, y = y, x
			}
		}
	}()
	defer func() { close(end); <-ended }()
	for _, resolve := range []uint64{unix.RESOLVE_IN_ROOT, unix.RESOLVE_BENEATH} {
		how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: resolve}
		for range 5000 {
			fd, err := Openat2(root, path, how)
			if err != nil {
				t.Fatalf("resolve %#x: %v", resolve, err)
			}
			unix.Close(fd)
		}
	}
}
