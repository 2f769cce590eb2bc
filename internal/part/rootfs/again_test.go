package rootfs

import (
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program/spawn"
)

// TestRemountIsOfWhatWasMounted: a neighbour who shares the directory of a mount point
// exchanges it between the mount and its remount. What is made read-only is the mount, and
// not what its name leads to by then.
func TestRemountIsOfWhatWasMounted(t *testing.T) {
	for name, m := range map[string]specs.Mount{
		"bind":  {Destination: "/vol/x", Type: "bind", Options: []string{"bind"}},
		"tmpfs": tmpfs("/vol/x"),
	} {
		for _, few := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				w.c.FewFiles = few
				for _, d := range []string{"vol/x", "source", "root/other"} {
					must(t, os.MkdirAll(w.path(d), 0o755))
				}
				must(t, os.Symlink("../other", w.path("vol/link")))
				if m.Type == "bind" {
					m.Source = w.path("source")
				}
				again := specs.Mount{Destination: "/vol/x", Type: m.Type, Source: "none", Options: []string{"remount", "ro"}}
				if m.Type == "bind" {
					again.Options = append(again.Options, "bind")
				}
				w.spec.Mounts = []specs.Mount{bind(w.path("vol"), "/vol"), tmpfs("/other"), m, tmpfs("/vol/a/b/c"), again}
				asked := 0
				w.before = func(*spawn.Child) { // the runtime is asked to make /vol/a/b/c
					asked++
					must(t, unix.Renameat2(unix.AT_FDCWD, w.path("vol/x"), unix.AT_FDCWD, w.path("vol/link"), unix.RENAME_EXCHANGE))
				}
				out := w.ok("busybox touch /vol/link/new 2>/dev/null && echo the mount is writable; busybox touch /other/new || echo another is not; true")
				if asked != 1 || out != "" {
					t.Errorf("asked %d times, got %q", asked, out)
				}
			})
		}
	}
}

// TestRemountFollowsNoLink: what the configuration has not mounted itself is found by its
// name, and by no link.
func TestRemountFollowsNoLink(t *testing.T) {
	w := newWorld(t, tmpfs("/other"), specs.Mount{Destination: "/link", Options: []string{"bind", "remount", "ro"}})
	must(t, os.MkdirAll(w.inRoot("other"), 0o755))
	must(t, os.Symlink("other", w.inRoot("link")))
	w.fails("mounts[1]", "/link, which no symbolic link may lead to", "too many levels of symbolic links")
}

// TestPinnedBindIsTakenByItsDescriptor: what mount(2) binds gets its options and its place
// by a descriptor that was not opened by a name in the container.
func TestPinnedBindIsTakenByItsDescriptor(t *testing.T) {
	for _, source := range []string{"/srv/pinned", "/"} {
		s := &specs.Spec{Process: &specs.Process{}, Mounts: []specs.Mount{bind(source, "/x", "rbind", "ro")}}
		taken, changed, attached := "", 0, 0
		for _, l := range listing(t, Config{Spec: s, Rootfs: "/r", SourcesInParent: true, SourcesInChild: true}) {
			if l.Element != "mounts[0]" || l.Section != "child" {
				continue
			}
			switch {
			case l.Call == "mount" && strings.Contains(strings.Join(l.Args, " "), "MS_BIND"):
				if l.Args[1] != l.Args[0] {
					t.Errorf("%s is bound on %s", l.Args[0], l.Args[1])
				}
				taken = "?"
			case taken == "?" && l.Call == "open_tree":
				taken = l.Result
			case taken != "" && l.Call == "mount_setattr" && l.Args[0] == taken:
				changed++
			case taken != "" && l.Call == "mount_setattr":
				t.Errorf("what is changed is %s, not %s", l.Args[0], taken)
			case taken != "" && changed > 0 && l.Call == "move_mount" && l.Args[0] == taken:
				attached++
			}
		}
		if changed == 0 || attached == 0 {
			t.Errorf("%s: taken as %q, changed %d times, attached %d times", source, taken, changed, attached)
		}
	}
}
