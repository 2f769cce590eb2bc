package integration

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestRootReadonly(t *testing.T) {
	t.Parallel()
	res := newBundle(t, readonlyRoot, sh("touch /new; touch /dev/new && echo dev is writable; grep ' / / \\| / ' /proc/self/mountinfo | head -1")).run()
	if !strings.Contains(res.stderr, "/new: Read-only file system") || !strings.Contains(res.stdout, "dev is writable") {
		t.Errorf("%s", res)
	}
	checkOptions(t, mountAt(t, mountsIn(t, readonlyRoot), "/"), "ro")
	checkOptions(t, mountAt(t, mountsIn(t), "/"), "rw")
}

// TestRootReadonlyWithMissingMountPoints: they are made before the root is
// made read-only.
func TestRootReadonlyWithMissingMountPoints(t *testing.T) {
	t.Parallel()
	if out := script(t, "ls -d /a/b/c", readonlyRoot, tmpfsMount("/a/b/c")); out != "/a/b/c\n" {
		t.Errorf("output %q", out)
	}
}

func TestRootPaths(t *testing.T) {
	t.Parallel()
	t.Run("absolute", func(t *testing.T) {
		t.Parallel()
		b := newBundle(t, sh("echo here"))
		b.spec.Root.Path = b.rootfs()
		b.writeSpec()
		if out := b.run().ok(t).stdout; out != "here\n" {
			t.Errorf("output %q", out)
		}
	})
	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		refused(t, []string{"nosuchroot"}, func(s *specs.Spec) { s.Root.Path = "nosuchroot" })
	})
	t.Run("a file", func(t *testing.T) {
		t.Parallel()
		refused(t, nil, func(s *specs.Spec) { s.Root.Path = "config.json" })
	})
	t.Run("empty", func(t *testing.T) {
		t.Parallel()
		hutchOnly(t, "1.1 takes the bundle itself")
		refused(t, []string{"root.path"}, func(s *specs.Spec) { s.Root.Path = "" })
	})
	t.Run("absent", func(t *testing.T) {
		t.Parallel()
		refused(t, []string{"root"}, func(s *specs.Spec) { s.Root = nil })
	})
}

// TestRootOnlyIsThere: the old root is gone, the new one cannot be left.
func TestRootOnlyIsThere(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"", "--no-pivot"} {
		t.Run("flag "+flag, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, withCapabilities("CAP_SYS_ADMIN"), sh("cat /proc/self/mountinfo; echo ===; cd /..; ls; ls /proc/1/root"))
			var flags []string
			if flag != "" {
				flags = []string{flag}
			}
			table, listing, _ := strings.Cut(b.run(flags...).ok(t).stdout, "===\n")
			for _, m := range parseMounts(t, table) {
				if strings.Contains(m.at, b.id) {
					t.Errorf("a mount of the host is seen: %+v", m)
				}
			}
			want := "bin\ndev\netc\nhome\nproc\nroot\nsys\ntmp\n"
			if listing != want+want {
				t.Errorf("the root has %q, want %q", listing, want)
			}
		})
	}
}

// TestRootfsPropagation: how the container's / hears of the host's mounts.
func TestRootfsPropagation(t *testing.T) {
	t.Parallel()
	cases := []struct {
		value string
		only  string
		check func(m mountLine) bool
	}{
		{"", "", func(m mountLine) bool { return !m.tag("shared:") }},
		{"private", "", func(m mountLine) bool { return len(m.tags) == 0 }},
		{"rprivate", "", func(m mountLine) bool { return len(m.tags) == 0 }},
		{"slave", "1.1 loses it when the root is a mount of its own", func(m mountLine) bool { return m.tag("master:") && !m.tag("shared:") }},
		{"rslave", "", func(m mountLine) bool { return m.tag("master:") && !m.tag("shared:") }},
		{"shared", "1.1 loses it when the root is a mount of its own", func(m mountLine) bool { return m.tag("shared:") }},
		{"rshared", "1.1 loses it when the root is a mount of its own", func(m mountLine) bool { return m.tag("shared:") }},
		{"unbindable", "1.1 loses it when the root is a mount of its own", func(m mountLine) bool { return m.tag("unbindable") }},
		{"runbindable", "1.1 lets a mount of the root fail", func(m mountLine) bool { return m.tag("unbindable") }},
	}
	for _, c := range cases {
		t.Run("value "+c.value, func(t *testing.T) {
			t.Parallel()
			if c.only != "" {
				hutchOnly(t, c.only)
			}
			b := newBundle(t, args("cat", "/proc/self/mountinfo"), func(s *specs.Spec) { s.Linux.RootfsPropagation = c.value })
			shareRoot(t, b)
			if m := mountAt(t, parseMounts(t, b.run().ok(t).stdout), "/"); !c.check(m) {
				t.Errorf("rootfsPropagation %q: %+v", c.value, m)
			}
		})
	}
	t.Run("unknown", func(t *testing.T) {
		t.Parallel()
		refused(t, []string{"rootfsPropagation"}, func(s *specs.Spec) { s.Linux.RootfsPropagation = "sideways" })
	})
}

// shareRoot makes the bundle's root a shared mount of its own.
func shareRoot(t testing.TB, b *bundle) {
	t.Helper()
	hostMount(t, "--bind", b.rootfs(), b.rootfs())
	hostMount(t, "--make-shared", b.rootfs())
	release := func() { exec.Command("umount", "-l", b.rootfs()).Run() }
	b.release = append(b.release, release)
}

// TestRootHearsHostMount: a mount made on the host below a slave root shows in
// the container, one made in the container does not show on the host.
func TestRootHearsHostMount(t *testing.T) {
	t.Parallel()
	b := newBundle(t, withCapabilities("CAP_SYS_ADMIN"),
		sh("mount -t tmpfs inner /tmp; echo ready; while ! test -e /home/sign; do sleep 0.02; done; echo heard"),
		func(s *specs.Spec) { s.Linux.RootfsPropagation = "rslave" })
	shareRoot(t, b)
	b.create().start()
	b.waitOutput("ready\n")
	if len(mountsWith(b.rootfs("tmp"))) != 0 {
		t.Error("the container's mount shows on the host")
	}
	hostTmpfs(t, b.rootfs("home"), "rw")
	if err := os.WriteFile(b.rootfs("home/sign"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	b.waitOutput("heard\n")
	if code := b.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	exec.Command("umount", "-l", b.rootfs("home")).Run()
}

// TestHostMountsUntouched: running containers changes nothing in the caller's
// mount namespace, not even for a moment's end.
func TestHostMountsUntouched(t *testing.T) {
	b := newBundle(t)
	before := readText(t, "/proc/self/mountinfo")
	b.run().ok(t)
	b.run("--no-pivot").ok(t)
	if after := readText(t, "/proc/self/mountinfo"); after != before {
		t.Errorf("mount table before:\n%s\nafter:\n%s", before, after)
	}
}
