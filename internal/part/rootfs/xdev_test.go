package rootfs

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
	"github.com/hutch-project/hutch/tests/testneed"
)

// TestMakeTargetStaysInTheImage: where the container's root may not write, the caller
// does in the image alone. A link of the image does not lead it to what is mounted there.
func TestMakeTargetStaysInTheImage(t *testing.T) {
	testneed.Root(t)
	root, host := t.TempDir(), t.TempDir()
	must(t, sys.Apart(func() error { return makeBeside(root, host) }))
	if list, err := os.ReadDir(host); err != nil || len(list) > 0 {
		t.Errorf("the host's directory has %v (%v)", list, err)
	}
	if _, err := os.Stat(filepath.Join(root, "own/made")); err != nil {
		t.Error("the image's own directory has it not:", err)
	}
}

// makeBeside makes targets with the host's directory mounted in the root.
func makeBeside(root, host string) error {
	steps := [...]func() error{
		func() error { return os.Chmod(root, 0o755) },
		func() error { return os.Chmod(host, 0o755) },
		func() error { return os.Mkdir(filepath.Join(root, "bound"), 0o755) },
		func() error { return os.Mkdir(filepath.Join(root, "own"), 0o755) },
		func() error { return os.Symlink("/bound", filepath.Join(root, "link")) },
		func() error { return unix.Unshare(unix.CLONE_NEWNS) },
		func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") },
		func() error { return unix.Mount(host, filepath.Join(root, "bound"), "", unix.MS_BIND, "") },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	const nobody = 65534
	_ = MakeTarget(fd, "/link/made", true, nobody, nobody) // what it has made is looked at
	_ = MakeTarget(fd, "/bound/made", true, nobody, nobody)
	return MakeTarget(fd, "/own/made", true, nobody, nobody)
}
