package rootfs

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const mapped = 100000 // host id of the container's root

// newUserWorld returns a user namespace; its root belongs to the container's root.
func newUserWorld(t *testing.T, mounts ...specs.Mount) *world {
	t.Helper()
	w := newWorld(t, mounts...)
	w.flags |= unix.CLONE_NEWUSER
	w.c.Userns, w.c.BindDevices, w.c.RootUID, w.c.RootGID = true, true, mapped, mapped
	w.c.Relock = true
	for _, d := range []string{"root", "root/bin", "root/proc", "root/sys", "root/dev", "root/etc", "root/tmp"} {
		must(t, os.Chown(w.path(d), mapped, mapped))
	}
	return w
}

func TestUserNamespaceDefaults(t *testing.T) {
	w := newUserWorld(t, defaults()...)
	w.spec.Linux.MaskedPaths = []string{"/proc/timer_list", "/sys/firmware"}
	w.spec.Linux.ReadonlyPaths = []string{"/proc/sys"}
	w.spec.Root.Readonly = true
	out := w.ok(`id -u; stat -c "%t:%T" /dev/null /dev/tty; echo x >/dev/null && wc -c </proc/timer_list; ls -A /sys/firmware; touch /x; echo 1 >/proc/sys/net/ipv4/ip_forward`)
	if want := "0\n1:3\n5:0\n0\ntouch: /x: Read-only file system\nsh: can't create /proc/sys/net/ipv4/ip_forward: Read-only file system\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

// Nothing of the host's tree is left, nor anything else that the program mounts
// for a while.
func TestNothingIsLeftOfTheHostsTree(t *testing.T) {
	for name, c := range map[string]struct {
		new     func(*testing.T, ...specs.Mount) *world
		noPivot bool
	}{"root": {newWorld, false}, "user namespace": {newUserWorld, false}, "no pivot": {newWorld, true}, "user namespace, no pivot": {newUserWorld, true}} {
		t.Run(name, func(t *testing.T) {
			w := c.new(t, proc(), dev())
			w.c.NoPivot = c.noPivot
			w.reachable()
			w.spec.Linux.MaskedPaths = []string{"/proc/keys", "/proc/timer_list"}
			own := []string{"/", "/dev", "/proc", "/proc/keys", "/proc/timer_list"}
			if w.c.BindDevices {
				own = append(own, "/dev/full", "/dev/null", "/dev/random", "/dev/tty", "/dev/urandom", "/dev/zero")
			}
			slices.Sort(own)
			out := w.ok(`ls /.. | head -3; cut -d" " -f5 /proc/self/mountinfo | sort`)
			if want := "bin\ndev\netc\n" + strings.Join(own, "\n") + "\n"; out != want {
				t.Errorf("got %q, want %q", out, want)
			}
		})
	}
}

// The sources of binds are opened as the host's root, also below directories that
// the container's root may not enter; what is made for them belongs to it.
func TestUserNamespaceSourcesOfTheHost(t *testing.T) {
	w := newUserWorld(t, proc())
	must(t, os.MkdirAll(w.path("closed/src"), 0o700))
	must(t, os.WriteFile(w.path("closed/src/f"), []byte("seen\n"), 0o644))
	must(t, os.Chmod(w.path("closed/src"), 0o755))
	w.spec.Mounts = append(w.spec.Mounts, bind(w.path("closed/src"), "/deep/in/mnt"), tmpfs("/up", "tmpcopyup"))
	must(t, os.MkdirAll(w.inRoot("up/d"), 0o755))
	must(t, os.WriteFile(w.inRoot("up/d/f"), []byte("up\n"), 0o640))
	for _, p := range []string{"up", "up/d", "up/d/f"} {
		must(t, os.Chown(w.inRoot(p), mapped, mapped+5))
	}
	out := w.ok(`cat /deep/in/mnt/f /up/d/f; stat -c "%u %g" /deep /deep/in /up/d/f`)
	if want := "seen\nup\n0 0\n0 0\n0 5\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestUserNamespaceWithTheHostsNetwork(t *testing.T) {
	w := newUserWorld(t, proc(), specs.Mount{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "ro"}})
	w.flags &^= unix.CLONE_NEWNET
	w.c.NewNet = false
	w.spec.Linux.MaskedPaths = []string{"/sys/firmware"}
	if got := w.mounts()["/sys"]; !strings.HasPrefix(got, "ro,nosuid") || !strings.Contains(got, "- sysfs") {
		t.Errorf("/sys: %q", got)
	}
}

// With sources opened in the child the host's flags are locked: what the options
// do not name stays.
func TestUserNamespaceLockedFlags(t *testing.T) {
	w := newUserWorld(t, proc())
	w.c.SourcesInParent, w.c.ParentNodes = false, false
	w.reachable()
	w.tmpfsOnHost("src", "nosuid,nodev,noexec")
	w.spec.Mounts = append(w.spec.Mounts, bind(w.path("src"), "/mnt", "ro"))
	if got := first(w.mounts()["/mnt"]); got != "ro,nosuid,nodev,noexec,relatime" {
		t.Errorf("/mnt: %q", got)
	}
	w.spec.Mounts[1].Options = []string{"bind", "exec"}
	w.fails("mounts[1]: bind ", "set its options", "operation not permitted")
}

// With sources opened in the parent the kernel would not object: the program does.
func TestUserNamespaceKeepsFlags(t *testing.T) {
	for _, c := range []struct{ source, options, want string }{
		{"ro,nosuid,noexec", "", "ro,nosuid,noexec,relatime"},
		{"ro,nosuid,noexec", "nodev", "ro,nosuid,nodev,noexec,relatime"},
		{"rw", "rw,dev,suid,exec", "rw,relatime"},
		{"ro", "rw", ""},
		{"ro", "rrw", ""},
		{"nodev", "ro,dev", ""},
		{"nosuid", "suid", ""},
		{"noexec", "exec", ""},
	} {
		t.Run(c.source+" bound "+c.options, func(t *testing.T) {
			w := newUserWorld(t, proc())
			w.tmpfsOnHost("src", c.source)
			w.spec.Mounts = append(w.spec.Mounts, bind(w.path("src"), "/mnt", strings.Split(c.options, ",")...))
			if c.want == "" {
				w.fails("mounts[1]: bind ", "cannot be taken back in a user namespace")
			} else if got := first(w.mounts()["/mnt"]); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	w := newUserWorld(t, proc())
	w.tmpfsOnHost("src", "rw")
	w.tmpfsOnHost("src/sub", "ro")
	w.spec.Mounts = append(w.spec.Mounts, specs.Mount{Destination: "/mnt", Source: w.path("src"), Options: []string{"rbind", "rrw"}})
	if got := first(w.mounts()["/mnt/sub"]); got != "ro,relatime" {
		t.Errorf("what is mounted below: %q", got)
	}
}

func TestIdmappedBind(t *testing.T) {
	w := newWorld(t, proc())
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: mapped, Size: 65536}}
	w.tmpfsOnHost("src", "rw")
	must(t, os.WriteFile(w.path("src/f"), nil, 0o644))
	must(t, os.Chown(w.path("src/f"), 7, 7))
	m := bind(w.path("src"), "/mnt", "idmap")
	m.UIDMappings, m.GIDMappings = ids, ids
	w.spec.Mounts = append(w.spec.Mounts, m)
	w.idmaps = true
	if out := w.ok("stat -c %u:%g /mnt/f"); out != "100007:100007\n" {
		t.Errorf("owner %q", out)
	}
}

// TestLinksUpFromTheRoot: a symbolic link of the image that goes up beyond the root leads to
// the root, and not into the file system that device nodes are taken from.
func TestLinksUpFromTheRoot(t *testing.T) {
	w := newWorld(t, proc(), dev())
	must(t, os.Mkdir(w.path("src"), 0o755))
	must(t, os.WriteFile(w.path("src/file"), []byte("bound\n"), 0o644))
	must(t, os.Mkdir(w.inRoot("etc/real"), 0o755))
	must(t, os.Symlink("../../../etc/real", w.inRoot("up")))
	must(t, os.Symlink("../../../tmp/new", w.inRoot("dangling")))
	w.spec.Mounts = append(w.spec.Mounts, bind(w.path("src"), "/up"), bind(w.path("src/file"), "/dangling"))
	w.inUserNamespace()
	if got := w.ok("cat /etc/real/file /tmp/new"); got != "bound\nbound\n" {
		t.Errorf("got %q", got)
	}
}

// TestMountPointInEarlierMount: what is missing of a way in an earlier mount of the container
// is made there, and has no mode that a tmpfs would take.
func TestMountPointInEarlierMount(t *testing.T) {
	for name, world := range map[string]func(*testing.T, ...specs.Mount) *world{"root": newWorld, "user namespace": newUserWorld} {
		t.Run(name, func(t *testing.T) {
			w := world(t, proc())
			w.reachable()
			must(t, os.WriteFile(w.path("file"), []byte("bound\n"), 0o644))
			w.spec.Mounts = append(w.spec.Mounts, tmpfs("/run", "mode=750"), tmpfs("/run/a/b/c"), tmpfs("/run/one"), bind(w.path("file"), "/run/x/y/file"))
			out := w.ok(`stat -c "%a %u" /run /run/a /run/a/b /run/a/b/c /run/one; cat /run/x/y/file`)
			if want := "750 0\n755 0\n755 0\n1777 0\n1777 0\nbound\n"; out != want {
				t.Errorf("got %q, want %q", out, want)
			}
			if left, _ := os.ReadDir(w.inRoot("run")); len(left) > 0 {
				t.Errorf("%v was made beneath the mount", left)
			}
		})
	}
}
