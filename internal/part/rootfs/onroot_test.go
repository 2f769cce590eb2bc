package rootfs

import (
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/mountinfo"
)

// otherRoot makes a second root file system beside the one at root.path, and returns it.
func (w *world) otherRoot() string {
	w.t.Helper()
	for _, d := range []string{"other/bin", "other/proc", "other/dev", "other/etc"} {
		must(w.t, os.MkdirAll(w.path(d), 0o755))
	}
	data, err := os.ReadFile(w.inRoot("bin/busybox"))
	must(w.t, err)
	must(w.t, os.WriteFile(w.path("other/bin/busybox"), data, 0o755))
	must(w.t, os.WriteFile(w.path("other/marker"), []byte("other\n"), 0o644))
	must(w.t, os.WriteFile(w.path("other/etc/secret"), []byte("secret\n"), 0o644))
	must(w.t, os.WriteFile(w.inRoot("image"), nil, 0o644))
	return w.path("other")
}

// inUserNamespace makes the container one with a user namespace.
func (w *world) inUserNamespace() {
	w.flags |= unix.CLONE_NEWUSER
	w.c.Userns, w.c.BindDevices, w.c.Relock, w.c.RootUID, w.c.RootGID = true, true, true, 100000, 100000
	w.spec.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
	w.spec.Linux.GIDMappings = w.spec.Linux.UIDMappings
	w.reachable()
}

// onRootKinds are the ways in which a container comes to its root.
var onRootKinds = map[string]func(w *world){
	"pivot":             func(*world) {},
	"chroot":            func(w *world) { w.c.NoPivot = true; w.c.HostMounts = mountinfo.Parse(hostTable(w.t)) },
	"hooks see it":      func(w *world) { w.c.Seen = true },
	"sources in child":  func(w *world) { w.c.SourcesInParent, w.c.ParentNodes = false, false },
	"few descriptors":   func(w *world) { w.c.FewFiles, w.c.SourcesInChild = true, true },
	"a user namespace":  (*world).inUserNamespace,
	"shared propagates": func(w *world) { w.spec.Linux.RootfsPropagation = "rshared" },
}

func hostTable(t *testing.T) string {
	t.Helper()
	text, err := ReadMountInfo(false)
	must(t, err)
	return text
}

// TestBindOnRoot: a bind on "/" is the root that is masked, read-only and has the devices;
// what is listed before it is not there, and what is listed after it is.
func TestBindOnRoot(t *testing.T) {
	for name, change := range onRootKinds {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			other := w.otherRoot()
			w.spec.Mounts = []specs.Mount{
				tmpfs("/etc"), bind("/nosuch", "/before"), bind(other, "/", "rbind", "nosuid", "ro", "rprivate"),
				proc(), dev(), tmpfs("/made/here"),
			}
			w.spec.Linux.MaskedPaths, w.spec.Linux.ReadonlyPaths = []string{"/etc/secret"}, []string{"/proc/sys"}
			change(w)
			got := w.ok(`cat /marker /etc/secret; ls -A /; echo >/dev/null; touch /x /made/here/y
				awk '$5 == "/" {print $6}' /proc/self/mountinfo; ls /made/here`)
			want := "other\nbin\ndev\netc\nmade\nmarker\nproc\ntouch: /x: Read-only file system\nro,nosuid,relatime\ny\n"
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if _, err := os.Stat(w.path("other/x")); err == nil {
				t.Error("the source was written to")
			}
			if _, err := os.Stat(w.inRoot("made")); err == nil {
				t.Error("a mount point was made at root.path")
			}
		})
	}
}

// TestTmpfsOnRoot: a new file system on "/" is the container's own, and comes empty; binds
// of what lies at root.path are of the host's.
func TestTmpfsOnRoot(t *testing.T) {
	for name, change := range onRootKinds {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.spec.Mounts = []specs.Mount{
				tmpfs("/", "size=1m"), proc(), dev(), bind(w.inRoot("bin"), "/bin", "ro"), tmpfs("/deep/er", "ro"),
			}
			w.spec.Linux.Devices = []specs.LinuxDevice{{Path: "/pipe", Type: "p"}}
			change(w)
			got := w.ok(`ls /; stat -c "%a %u" / /deep; touch /x /bin/x /deep/er/x; ls /x`)
			want := "bin\ndeep\ndev\npipe\nproc\n755 0\n755 0\ntouch: /bin/x: Read-only file system\n" +
				"touch: /deep/er/x: Read-only file system\n/x\n"
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestReadOnlyTmpfsOnRoot: it is read-only when all is in it, and has its own mode.
func TestReadOnlyTmpfsOnRoot(t *testing.T) {
	w := newWorld(t)
	w.spec.Mounts = []specs.Mount{tmpfs("/", "ro", "mode=711", "noatime"), proc(), bind(w.inRoot("bin"), "/bin")}
	got := w.ok(`stat -c %a /; touch /x; ls /dev/null; awk '$5 == "/" {print $6}' /proc/self/mountinfo`)
	if want := "711\ntouch: /x: Read-only file system\n/dev/null\nro,noatime\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestLastOnRootCounts: of several mounts on "/" the last is the root.
func TestLastOnRootCounts(t *testing.T) {
	w := newWorld(t)
	other := w.otherRoot()
	w.spec.Mounts = []specs.Mount{tmpfs("/"), tmpfs("/mnt"), bind(other, "/a/..", "ro"), proc()}
	if got := w.ok("cat /marker; ls -d /mnt"); got != "other\nls: /mnt: No such file or directory\n" {
		t.Errorf("got %q", got)
	}
}

// TestReadOnlySourceOnRoot: what the host has mounted read-only is not made writable, not
// for a moment, to make mount points in it.
func TestReadOnlySourceOnRoot(t *testing.T) {
	w := newWorld(t)
	other := w.otherRoot()
	must(t, unix.Mount(other, other, "", unix.MS_BIND, ""))
	must(t, unix.Mount("", other, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	defer func() { _ = unix.Unmount(other, unix.MNT_DETACH) }()
	w.spec.Mounts = []specs.Mount{bind(other, "/", "rbind", "ro", "nosuid"), proc(), tmpfs("/new")}
	w.fails("make /new in the container: read-only file system")
	if _, err := os.Stat(other + "/new"); err == nil {
		t.Error("the mount point was made")
	}
}

// TestLinksOfARootThatIsBound: symbolic links of the directory that is bound on "/" lead
// where they lead in the container, as those of root.path.
func TestLinksOfARootThatIsBound(t *testing.T) {
	for name, change := range onRootKinds {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			other := w.otherRoot()
			up := strings.Repeat("../", 12)
			must(t, os.Symlink(up+w.path("canary")[1:]+"/new", other+"/up"))
			must(t, os.Symlink(w.path("canary"), other+"/vol"))
			must(t, os.WriteFile(w.path("file"), []byte("bound\n"), 0o644))
			w.spec.Mounts = []specs.Mount{bind(other, "/", "rbind"), proc(), dev(), bind(w.path("file"), "/up"), tmpfs("/vol/deep")}
			w.spec.Linux.MaskedPaths = []string{"/vol/file"}
			change(w)
			// The test looks after the canary at the end.
			if got := w.ok("cat /up; ls " + w.path("canary")); got != "bound\ndeep\nnew\n" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestHostileDirectoriesOnRoot: /dev and /proc of what is bound may be no links, as those of
// root.path.
func TestHostileDirectoriesOnRoot(t *testing.T) {
	for name, c := range map[string]struct {
		link, want string
		mounts     []specs.Mount
	}{
		"dev":  {"dev", "open /dev, which must be a directory", []specs.Mount{proc()}},
		"proc": {"proc", "must be an ordinary directory", []specs.Mount{proc(), dev()}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			other := w.otherRoot()
			must(t, os.Remove(other+"/"+c.link))
			must(t, os.Symlink(w.path("canary"), other+"/"+c.link))
			w.spec.Mounts = append([]specs.Mount{bind(other, "/", "rbind")}, c.mounts...)
			w.fails(c.want)
		})
	}
}

// TestIDMappedRoot: a bind on "/" may have mappings of its own.
func TestIDMappedRoot(t *testing.T) {
	w := newWorld(t)
	other := w.otherRoot()
	m := bind(other, "/", "rbind")
	m.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
	m.GIDMappings = m.UIDMappings
	w.spec.Mounts, w.idmaps = []specs.Mount{m, proc(), dev()}, true
	if got := w.ok("stat -c %u /marker"); got != "100000\n" {
		t.Errorf("got %q", got)
	}
}

func TestRefusedOnRoot(t *testing.T) {
	for name, c := range map[string]struct {
		mount func(w *world) specs.Mount
		words []string
	}{
		"a file": {func(w *world) specs.Mount {
			must(w.t, os.WriteFile(w.path("file"), nil, 0o644))
			return bind(w.path("file"), "/")
		},
			[]string{"mounts[0]: bind ", "the source is a file, and no root file system", "not a directory"}},
		"no source": {func(*world) specs.Mount { return bind("/no/such", "/") },
			[]string{"mounts[0]: bind /no/such on /: open source /no/such: no such file or directory"}},
		"a remount": {func(*world) specs.Mount { return tmpfs("/a/..", "remount") }, []string{"mounts[0].options: the root", "root.readonly"}},
		"procfs":    {func(*world) specs.Mount { return specs.Mount{Destination: "/", Type: "proc"} }, []string{`mounts[0].type: "proc"`}},
		"tmpcopyup": {func(*world) specs.Mount { return tmpfs("/", "size=1m", "tmpcopyup") }, []string{`mounts[0].options[1]: "tmpcopyup"`}},
		"a link":    {func(*world) specs.Mount { return bind("/x", "/", "src-nofollow") }, []string{`mounts[0].options[1]: "src-nofollow"`}},
		"mapped":    {func(*world) specs.Mount { return tmpfs("/", "idmap") }, []string{"mounts[0]: a new file system on / has no mappings"}},
		"a wrong option": {func(*world) specs.Mount { return tmpfs("/", "size=many") },
			[]string{"mounts[0]: mount tmpfs on /: option size=many: invalid argument"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.spec.Mounts = []specs.Mount{c.mount(w)}
			w.fails(c.words...)
		})
	}
}
