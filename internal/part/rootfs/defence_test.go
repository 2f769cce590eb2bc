package rootfs

import (
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program/spawn"
)

// TestRefusedLinks: where the runtime mounts what programs trust, or makes what they
// open, a link of the image is an error and not followed.
func TestRefusedLinks(t *testing.T) {
	link := func(w *world, to, name string) {
		must(w.t, os.RemoveAll(w.inRoot(name)))
		must(w.t, os.Symlink(to, w.inRoot(name)))
	}
	for name, c := range map[string]struct {
		lay   func(w *world)
		words []string
	}{
		"a bind on proc": {func(w *world) {
			link(w, "/etc", "proc")
			w.spec.Mounts = []specs.Mount{bind("/proc", "/proc", "rbind")}
		}, []string{"mounts[0]: bind /proc on /proc: ", "must be an ordinary directory"}},
		"cgroups": {func(w *world) {
			must(w.t, os.MkdirAll(w.inRoot("sys/fs"), 0o755))
			link(w, "/etc", "sys/fs/cgroup")
			w.spec.Mounts = []specs.Mount{{Destination: "/sys/fs/cgroup", Type: "cgroup"}}
		}, []string{"mounts[0]: mount cgroup on /sys/fs/cgroup: ", "must be an ordinary directory"}},
		"a device": {func(w *world) {
			must(w.t, unix.Mknod(w.inRoot("dev/real"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
			link(w, "/dev/real", "dev/null")
		}, []string{"/dev/null is there and is another file than character device 1:3"}},
		"all devices": {func(w *world) {
			must(w.t, os.RemoveAll(w.inRoot("dev")))
			link(w, "/etc", "dev")
		}, []string{"open /dev, which must be a directory", "too many levels of symbolic links"}},
		"a bound device": {func(w *world) {
			w.c.BindDevices = true
			must(w.t, os.WriteFile(w.inRoot("etc/target"), nil, 0o644))
			link(w, "/etc/target", "dev/null")
		}, []string{"/dev/null: open the mount point: too many levels of symbolic links"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.lay(w)
			w.fails(c.words...)
		})
	}
}

// TestNothingIsMadeUnasked: a message that names a target that the program has not is
// an error.
func TestNothingIsMadeUnasked(t *testing.T) {
	for _, tag := range []uint32{TargetTag, TargetTag + 3, TargetTag | AsDir, CopyUpTag - 1} {
		if _, err := New(Config{Spec: &specs.Spec{}}).Handle(nil, spawn.Event{Tag: tag}); err == nil {
			t.Errorf("the tag %#x is taken", tag)
		}
	}
}

// TestCopyUpTakesNoDevices: of the image's files only regular ones, directories and
// links come into a tmpfs.
func TestCopyUpTakesNoDevices(t *testing.T) {
	w := newWorld(t, tmpfs("/up", "tmpcopyup"))
	must(t, os.MkdirAll(w.inRoot("up/dir"), 0o755))
	must(t, os.WriteFile(w.inRoot("up/file"), nil, 0o644))
	must(t, os.Symlink("file", w.inRoot("up/link")))
	must(t, unix.Mknod(w.inRoot("up/fifo"), unix.S_IFIFO|0o666, 0))
	must(t, unix.Mknod(w.inRoot("up/node"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	must(t, unix.Mknod(w.inRoot("up/dir/node"), unix.S_IFBLK|0o666, int(unix.Mkdev(7, 0))))
	if out := strings.Fields(w.ok("cd /up; busybox find . | busybox sort")); strings.Join(out, " ") != ". ./dir ./file ./link" {
		t.Errorf("got %q", out)
	}
}

// TestReadonlyTmpfsAfterItsContent: ro is set when the devices, or the copy, are in.
func TestReadonlyTmpfsAfterItsContent(t *testing.T) {
	d := dev()
	d.Options = append(d.Options, "ro")
	w := newWorld(t, proc(), d, tmpfs("/up", "tmpcopyup", "ro"))
	must(t, os.MkdirAll(w.inRoot("up"), 0o755))
	must(t, os.WriteFile(w.inRoot("up/file"), []byte("content\n"), 0o644))
	out := w.ok("cat /up/file; for f in /up /dev; do busybox touch $f/new 2>/dev/null && echo wrote $f; done; [ -c /dev/null ] && echo device")
	if out != "content\ndevice\n" {
		t.Errorf("got %q", out)
	}
}

// TestHostsProcIsNoStandIn: a container with processes of its own is not shown those
// of the host where the kernel refuses it a procfs.
func TestHostsProcIsNoStandIn(t *testing.T) {
	pids := &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: specs.PIDNamespace}}}
	for _, test := range []struct {
		rule string
		c    Config
		kind string
		want string
	}{
		{"procfs of its own pid namespace", Config{Userns: true, Spec: &specs.Spec{Linux: pids}}, "proc", ""},
		{"procfs of the host's", Config{Userns: true, Spec: &specs.Spec{}}, "proc", "/proc"},
		{"without a user namespace", Config{Spec: &specs.Spec{}}, "proc", ""},
		{"sysfs of its own network", Config{Userns: true, NewNet: true, Spec: &specs.Spec{Linux: pids}}, "sysfs", ""},
		{"sysfs of the host's", Config{Userns: true, Spec: &specs.Spec{Linux: pids}}, "sysfs", "/sys"},
	} {
		if got := New(test.c).fallbackSource(&specs.Mount{Type: test.kind}); got != test.want {
			t.Errorf("%s: %q, want %q", test.rule, got, test.want)
		}
	}
}

// TestHostsSysfsIsReadonly: also where the configuration does not ask for it.
func TestHostsSysfsIsReadonly(t *testing.T) {
	w := newUserWorld(t, proc(), specs.Mount{Destination: "/sys", Type: "sysfs", Source: "sysfs"})
	w.flags &^= unix.CLONE_NEWNET
	w.c.NewNet = false
	if got := w.mounts()["/sys"]; !strings.HasPrefix(got, "ro,") || !strings.Contains(got, "- sysfs") {
		t.Errorf("/sys: %q", got)
	}
}
