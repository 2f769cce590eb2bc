package rootfs

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testneed"
)

func openRoot(t *testing.T, dir string) int {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func TestMakeTarget(t *testing.T) {
	for name, c := range map[string]struct {
		links map[string]string
		dest  string
		dir   bool
		want  string // what is there then
		err   error
	}{
		"directories":        {dest: "/a/b/c", dir: true, want: "a/b/c"},
		"file":               {dest: "/a/b/f", want: "a/b/f"},
		"there":              {dest: "/there/file", want: "there/file"},
		"dangling, relative": {links: map[string]string{"there/l": "../x/y"}, dest: "/there/l", want: "x/y"},
		"dangling, absolute": {links: map[string]string{"l": "/x/y"}, dest: "/l/z", dir: true, want: "x/y/z"},
		"climbing":           {links: map[string]string{"l": "../../../../x"}, dest: "/l", dir: true, want: "x"},
		"chain":              {links: map[string]string{"l": "m", "m": "there/../n"}, dest: "/l/f", want: "n/f"},
		"loop":               {links: map[string]string{"l": "m", "m": "l"}, dest: "/l/f", err: unix.ELOOP},
		"through a file":     {dest: "/there/file/x", err: unix.ENOTDIR},
	} {
		t.Run(name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "root")
			must(t, os.MkdirAll(root+"/there", 0o755))
			must(t, os.WriteFile(root+"/there/file", nil, 0o644))
			for l, to := range c.links {
				must(t, os.Symlink(to, filepath.Join(root, l)))
			}
			err := MakeTarget(openRoot(t, root), c.dest, c.dir, os.Geteuid(), os.Getegid())
			if !errors.Is(err, c.err) {
				t.Fatalf("got %v, want %v", err, c.err)
			}
			if c.err != nil {
				return
			}
			fi, err := os.Lstat(filepath.Join(root, c.want))
			if err != nil || fi.IsDir() != c.dir {
				t.Errorf("%s: %v %v", c.want, fi, err)
			}
			if list, _ := os.ReadDir(filepath.Dir(root)); len(list) != 1 {
				t.Errorf("beside the root: %v", list)
			}
		})
	}
}

// While a directory on the way is swapped for a link out of the root, nothing is
// made outside.
func TestMakeTargetAgainstARacer(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(dir+"/root/a", 0o755))
	must(t, os.Mkdir(dir+"/canary", 0o755))
	must(t, os.Symlink(dir+"/canary", dir+"/root/l"))
	root := openRoot(t, dir+"/root")
	var stop atomic.Bool
	var swaps atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			if unix.Renameat2(root, "a", root, "l", unix.RENAME_EXCHANGE) == nil {
				swaps.Add(1)
			}
		}
	}()
	made := 0
	for i := 0; i < 2000 || swaps.Load() < 1000; i++ {
		if MakeTarget(root, "/a/b/c", i%2 == 0, os.Geteuid(), os.Getegid()) == nil {
			made++
		}
		_ = unix.Unlinkat(root, "a/b/c", 0)
		_ = unix.Unlinkat(root, "a/b/c", unix.AT_REMOVEDIR)
		_ = unix.Unlinkat(root, "l/b/c", 0)
		_ = unix.Unlinkat(root, "l/b/c", unix.AT_REMOVEDIR)
	}
	stop.Store(true)
	<-done
	if list, err := os.ReadDir(dir + "/canary"); err != nil || len(list) > 0 {
		t.Errorf("outside of the root: %v %v", list, err)
	}
	if made == 0 {
		t.Error("nothing was ever made: the race says nothing")
	}
}

// TestMakeTargetLeavesWhatIsBound: what is mounted in the root, and belongs to the host's
// root alone, is not written to with the runtime's ids, whatever a link of the image says.
// The image itself may belong to the host's root.
func TestMakeTargetLeavesWhatIsBound(t *testing.T) {
	testneed.Root(t, "a mount, and ids of another")
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	data := filepath.Join(dir, "data")
	must(t, os.Mkdir(data, 0o755))
	must(t, unix.Mount("tmpfs", data, "tmpfs", 0, "mode=755"))
	t.Cleanup(func() { unix.Unmount(data, unix.MNT_DETACH) })
	must(t, os.Symlink("/data/made", filepath.Join(dir, "link")))
	root := openRoot(t, dir)
	if err := MakeTarget(root, "/link", true, 100000, 100000); err == nil {
		t.Error("made in what is bound")
	}
	if _, err := os.Lstat(filepath.Join(data, "made")); err == nil {
		t.Error("it is there")
	}
	if err := MakeTarget(root, "/data/made", true, 100000, 100000); err == nil {
		t.Error("made by its own name in what is bound")
	}
	must(t, MakeTarget(root, "/new", true, 100000, 100000))
}
