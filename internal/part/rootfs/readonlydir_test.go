package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testneed"
)

// TestMakeTargetInReadOnlyDirectory: the root of many images has the mode 0555. The
// container's root, its owner, has what is made there, also when many make something at
// once, and the mode stays.
func TestMakeTargetInReadOnlyDirectory(t *testing.T) {
	testneed.Root(t)
	const owner = 100000
	dir := t.TempDir()
	must(t, os.Chown(dir, owner, owner))
	must(t, os.Chmod(dir, 0o555))
	root := openRoot(t, dir)
	var wait sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		wait.Go(func() { errs[i] = MakeTarget(root, fmt.Sprintf("/new%d/below", i), i%2 == 0, owner, owner) })
	}
	wait.Wait()
	must(t, errors.Join(errs...))
	for i := range errs {
		for _, name := range []string{"", "below"} {
			var st unix.Stat_t
			must(t, unix.Lstat(filepath.Join(dir, fmt.Sprintf("new%d", i), name), &st))
			if st.Uid != owner || st.Gid != owner {
				t.Errorf("new%d/%s belongs to %d:%d", i, name, st.Uid, st.Gid)
			}
		}
	}
	info, err := os.Stat(dir)
	must(t, err)
	if info.Mode().Perm() != 0o555 {
		t.Errorf("the directory's mode is %o", info.Mode().Perm())
	}
}

// TestMakeTargetWaitsForNoLock: a process that keeps the directory locked holds up
// nobody for long. What the container's root cannot make then, the caller does.
func TestMakeTargetWaitsForNoLock(t *testing.T) {
	testneed.Root(t)
	dir := t.TempDir()
	must(t, os.Chown(dir, 100000, 100000))
	must(t, os.Chmod(dir, 0o555))
	held, err := os.Open(dir)
	must(t, err)
	defer held.Close()
	must(t, unix.Flock(int(held.Fd()), unix.LOCK_EX))
	must(t, MakeTarget(openRoot(t, dir), "/new", true, 100000, 100000))
}
