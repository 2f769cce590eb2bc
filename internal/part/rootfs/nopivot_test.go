package rootfs

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/mountinfo"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/spawn"
)

// reveal tries to mount a procfs and a sysfs without masks, in user namespaces.
const reveal = `mkdir -p /tmp/p /tmp/s
unshare -Urmpf sh -c 'mount -t proc none /tmp/p && echo proc' 2>/dev/null
unshare -Urmn sh -c 'mount -t sysfs none /tmp/s && echo sysfs' 2>/dev/null
echo done`

// newNoPivot returns a container without pivot_root whose own procfs and sysfs are
// masked, on a host with further ones: below a mount, on top of each other, and
// covered by a later mount.
func newNoPivot(t *testing.T, w *world) *world {
	w.c.NoPivot = true
	w.spec.Linux.MaskedPaths = []string{"/proc/keys", "/sys/firmware"}
	w.reachable()
	w.tmpfsOnHost("disk", "mode=755")
	for _, d := range []string{"disk/proc", "disk/a b", "disk/a b/sys"} {
		must(t, os.Mkdir(w.path(d), 0o755))
	}
	mountOn(t, "proc", w.path("disk/proc"))
	mountOn(t, "proc", w.path("disk/proc"))
	mountOn(t, "sysfs", w.path("disk/a b/sys"))
	return w
}

func mountOn(t *testing.T, kind, at string) {
	t.Helper()
	must(t, unix.Mount(kind, at, kind, 0, ""))
	t.Cleanup(func() { must(t, unix.Unmount(at, unix.MNT_DETACH)) })
}

func (w *world) readHostMounts() {
	text, err := os.ReadFile("/proc/self/mountinfo")
	must(w.t, err)
	w.c.HostMounts = mountinfo.Parse(string(text))
}

func TestNoPivotRevealsNothing(t *testing.T) {
	t.Run("root", func(t *testing.T) {
		w := newNoPivot(t, newWorld(t, defaults()...))
		mountOn(t, "tmpfs", w.path("disk/a b")) // covers the sysfs
		w.readHostMounts()
		if out := w.ok(reveal); out != "done\n" {
			t.Errorf("mounted: %q", out)
		}
		w.c.NoPivot = false
		if out := w.ok(reveal); out != "done\n" {
			t.Errorf("mounted with pivot_root: %q", out)
		}
	})
	t.Run("user namespace", func(t *testing.T) {
		w := newNoPivot(t, newUserWorld(t, defaults()...))
		w.readHostMounts()
		if out := w.ok(reveal); out != "done\n" {
			t.Errorf("mounted: %q", out)
		}
	})
	t.Run("covered in a user namespace", func(t *testing.T) {
		w := newNoPivot(t, newUserWorld(t, defaults()...))
		mountOn(t, "tmpfs", w.path("disk/a b"))
		w.readHostMounts()
		// The kernel has locked what covers it.
		w.fails("root.path: change to the root file system: ", "cannot be reached", "do without --no-pivot")
	})
}

// What the host mounts later does not come beneath the root.
func TestNoPivotIsCutOff(t *testing.T) {
	w := newWorld(t, proc(), dev())
	w.c.NoPivot = true
	w.spec.Linux.MaskedPaths = []string{"/proc/keys"}
	must(t, os.Mkdir(w.path("later"), 0o755))
	w.readHostMounts()
	w.late = func(b *program.Builder, _ *Root) { b.Barrier(paused, 0) }
	w.before = func(*spawn.Child) { mountOn(t, "proc", w.path("later")) }
	out, err := w.try(reveal)
	if must(t, err); out != "done\n" {
		t.Errorf("mounted: %q", out)
	}
}
