package rootfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/spawn"
)

// root.path leads over no symbolic link, whoever opens it; the bundle's own path
// may.
func TestRootIsNoLink(t *testing.T) {
	for name, c := range map[string]struct {
		link, to     string // beside the bundle
		root, bundle string
		ok           bool
	}{
		"the root":                {"rootfs", "root", "rootfs", "", false},
		"to the host":             {"rootfs", "/", "rootfs", "", false},
		"on the way":              {"way", ".", "way/root", "", false},
		"below the bundle":        {"way", ".", "way/root", ".", false},
		"the bundle":              {"b", ".", "b/root", "b", true},
		"above the bundle":        {"up", "..", "up/BASE/root", "up/BASE", true},
		"the bundle and the root": {"root2", "root", "root2", ".", false},
		"a link is the bundle":    {"b", ".", "b", "b", false},
		"no link":                 {"b", ".", "root", ".", true},
	} {
		for _, inParent := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, proc())
				w.c.SourcesInParent, w.c.ParentNodes = inParent, inParent
				must(t, os.Symlink(c.to, w.path(c.link)))
				at := func(p string) string {
					return w.dir + "/" + strings.ReplaceAll(p, "BASE", filepath.Base(w.dir))
				}
				w.c.Rootfs = at(c.root)
				if c.bundle != "" {
					w.c.Bundle = strings.TrimSuffix(at(c.bundle), "/.")
				}
				if c.ok {
					if out := w.ok("ls /bin"); out != "busybox\n" {
						t.Errorf("in the root: %q", out)
					}
					return
				}
				w.fails("root.path: open the root file system "+w.c.Rootfs+": must not be a symbolic link, nor lead over one", "too many levels")
			})
		}
	}
}

// While root.path is swapped for a link, the container has its root or none.
func TestRootAgainstARacer(t *testing.T) {
	w := newWorld(t, proc())
	must(t, os.WriteFile(w.inRoot("mine"), nil, 0o644))
	must(t, os.Symlink("/", w.path("other")))
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			_ = unix.Renameat2(unix.AT_FDCWD, w.path("root"), unix.AT_FDCWD, w.path("other"), unix.RENAME_EXCHANGE)
		}
	}()
	ran, refused := 0, 0
	for i := 0; i < 60 || ran == 0 || refused == 0; i++ {
		out, err := w.try("ls /mine")
		switch {
		case err != nil:
			refused++
		case out != "/mine\n":
			t.Errorf("the container has another root: %q", out)
		default:
			ran++
		}
		if i > 3000 {
			t.Fatalf("%d ran, %d refused: the race says nothing", ran, refused)
		}
	}
	stop.Store(true)
	<-done
}

// No descriptor of a directory of the host is left when the child runs: a way up
// leads from it to all of the host.
func TestRootsDirectoryIsNotKept(t *testing.T) {
	for _, bundle := range []string{"", "b"} {
		w := newWorld(t, proc())
		must(t, os.Symlink(".", w.path("b")))
		if w.c.Rootfs = w.path("root"); bundle != "" {
			w.c.Bundle, w.c.Rootfs = w.path(bundle), w.path(bundle+"/root")
		}
		var seen []string
		w.late = func(b *program.Builder, _ *Root) { b.Barrier(paused, 0) }
		w.before = func(c *spawn.Child) {
			list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.Pid))
			must(t, err)
			for _, e := range list {
				at, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", c.Pid, e.Name()))
				must(t, err)
				seen = append(seen, at)
			}
		}
		w.ok("true")
		if len(seen) < 5 {
			t.Fatalf("the test has seen few descriptors: %v", seen)
		}
		for _, at := range seen {
			if strings.HasPrefix(at, w.dir) { // that of the tree itself is "/" there
				t.Errorf("the child holds %s", at)
			}
		}
	}
}
