package integration

import (
	"os"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// onRoot has a mount on "/" come before all others.
func onRoot(m specs.Mount) edit {
	m.Destination = "/"
	return func(s *specs.Spec) {
		s.Root.Readonly = false
		s.Mounts = slices.Insert(s.Mounts, 0, m)
	}
}

// lookRound is a script that tells the root of a container by what is in it.
const lookRound = `cat /marker; ls /proc/1/comm /dev/null; touch /made && rm /made && echo writable
grep -c kernel /proc/keys; ls -d /covered 2>/dev/null; ( : >/proc/sys/kernel/msgmax ) 2>&1 | grep -c Read-only`

const seenRound = "other\n/dev/null\n/proc/1/comm\n0\n1\n"

// TestMountOnRoot: what is mounted on "/" is the root of the container, with all that the
// configuration says of a root, for init and for further processes.
func TestMountOnRoot(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "other runtimes refuse a mount on the root")
	for name, c := range map[string]struct {
		edits []edit
		flags []string
	}{
		"root":             {nil, nil},
		"user namespace":   {[]edit{userNamespace}, nil},
		"no pivot":         {nil, []string{"--no-pivot"}},
		"shared namespace": {[]edit{withoutNamespace(specs.MountNamespace), withoutMasks}, nil},
		"hooks":            {[]edit{hooks("createContainer", specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "test -e marker"}})}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, append(c.edits, maskPaths("/proc/keys"), readonlyPaths("/proc/sys"))...)
			if name == "shared namespace" {
				withoutMasks(b.spec)
			}
			other := b.path("other")
			if err := layRootfs(other); err != nil {
				t.Fatal(err)
			}
			writeText(t, other+"/marker", "other\n")
			onRoot(specs.Mount{Type: "bind", Source: other, Options: []string{"rbind", "ro"}})(b.spec)
			b.spec.Mounts = slices.Insert(b.spec.Mounts, 0, specs.Mount{Destination: "/covered", Type: "tmpfs"})
			b.writeSpec()
			b.rt("plan", "--verify", "--bundle", b.dir).ok(t)
			want := seenRound
			if name == "shared namespace" { // has no masks, nor read-only paths
				want = "other\n/dev/null\n/proc/1/comm\n"
			}
			sh(lookRound)(b.spec)
			if name == "shared namespace" {
				sh("cat /marker; ls /proc/1/comm /dev/null; ls -d /covered 2>/dev/null; true")(b.spec)
			}
			b.writeSpec()
			if out := b.run(c.flags...).stdout; out != want {
				t.Errorf("run: got %q, want %q", out, want)
			}
			args("sleep", "1000")(b.spec)
			b.id = uniqueID()
			b.writeSpec()
			b.create(c.flags...).start()
			if out := b.rt("exec", b.id, "/bin/sh", "-c", "cat /marker; test -e /covered || echo gone").ok(t).stdout; out != "other\ngone\n" {
				t.Errorf("exec: %q", out)
			}
			if _, err := os.Stat(other + "/made"); err == nil {
				t.Error("a read-only root was written to")
			}
		})
	}
}

func withoutMasks(s *specs.Spec) { s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil }

// TestTmpfsOnRoot: the root is empty but for what is mounted in it, and is gone afterwards.
func TestTmpfsOnRoot(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "other runtimes refuse a mount on the root")
	for _, userns := range []bool{false, true} {
		b := newBundle(t, sh("ls /; echo text >/new; cat /new; stat -c '%a %u %T' / ; awk '$5 == \"/\" {print $(NF-2)}' /proc/self/mountinfo"))
		if userns {
			userNamespace(b.spec)
		}
		onRoot(specs.Mount{Type: "tmpfs", Source: "tmpfs", Options: []string{"size=2m"}})(b.spec)
		bindMount(b.rootfs("bin"), "/bin", "ro")(b.spec)
		b.writeSpec()
		b.rt("plan", "--verify", "--bundle", b.dir).ok(t)
		out := b.run().ok(t).stdout
		if want := "bin\ndev\nproc\nsys\ntext\n755 0 0\ntmpfs\n"; out != want {
			t.Errorf("user namespace %t: got %q, want %q", userns, out, want)
		}
		if _, err := os.Stat(b.rootfs("new")); err == nil {
			t.Error("the file is at root.path")
		}
	}
}

// TestMountOnRootUnprivileged: so it is for users without privileges, and roots of a user
// namespace.
func TestMountOnRootUnprivileged(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "other runtimes refuse a mount on the root")
	for _, s := range seats() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			g := s.seated(t, true)
			bin := g.rootfs("bin")
			onRoot(specs.Mount{Type: "tmpfs", Source: "tmpfs"})(g.spec)
			bindMount(bin, "/bin", "ro")(g.spec)
			saysNothingBut(t, g.byRun(program{args: []string{"/bin/sh", "-c", "ls /; touch /new && echo writable; touch /bin/x 2>/dev/null || echo safe"}}),
				"bin\ndev\nproc\nsys\nwritable\nsafe\n")
			g.spec.Mounts[0] = specs.Mount{Destination: "/", Type: "bind", Source: g.rootfs(), Options: []string{"rbind", "ro"}}
			g.id = uniqueID()
			g.configure(program{args: []string{"sleep", "1000"}})
			saysNothingBut(t, g.as(g.createCall()).do(t), "")
			g.readPid()
			g.do("start", g.id).ok(t)
			c := g.execCall(program{}, "--env", idVariable+"="+g.id)
			c.args = append(c.args, "/bin/sh", "-c", "touch /new")
			if res := c.do(t); res.code == 0 || !strings.Contains(res.stderr, "Read-only file system") {
				t.Errorf("exec: %s", res)
			}
			g.do("kill", g.id, "KILL").ok(t)
			g.wait()
			g.do("delete", g.id).ok(t)
		})
	}
}

// TestMountOnRootIsNotHostile: a directory that is bound on "/" is an image like any other:
// its links lead nowhere but into the container, and it can have no procfs of its own.
func TestMountOnRootIsNotHostile(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "other runtimes refuse a mount on the root")
	for name, c := range map[string]struct {
		lay  func(t *testing.T, other, outside string)
		says string
	}{
		"dev is a link": {func(t *testing.T, other, outside string) {
			os.RemoveAll(other + "/dev")
			os.Symlink(outside, other+"/dev")
		}, ""},
		"proc is a link": {func(t *testing.T, other, outside string) {
			os.RemoveAll(other + "/proc")
			os.Symlink(outside, other+"/proc")
		}, "must be an ordinary directory"},
		"a mount point is a link out": {func(t *testing.T, other, outside string) {
			os.RemoveAll(other + "/mnt")
			os.Symlink(strings.Repeat("../", 20)+outside, other+"/mnt")
		}, ""},
	} {
		for _, userns := range []bool{false, true} {
			b := newBundle(t, sh("true"), tmpfsMount("/mnt/deep"))
			other, outside := b.path("other"), b.path("outside")
			if err := layRootfs(other); err != nil {
				t.Fatal(err)
			}
			writeText(t, outside+"/file", "mine\n")
			c.lay(t, other, outside)
			if userns {
				userNamespace(b.spec)
			}
			onRoot(specs.Mount{Type: "bind", Source: other, Options: []string{"rbind"}})(b.spec)
			b.writeSpec()
			res := b.run()
			if c.says != "" && (res.code == 0 || !strings.Contains(res.stderr, c.says)) {
				t.Errorf("%s: %s", name, res)
			}
			if entries, _ := os.ReadDir(outside); len(entries) != 1 || readText(t, outside+"/file") != "mine\n" {
				t.Errorf("%s: outside of the root there is now %v", name, entries)
			}
		}
	}
}

// TestNewRootNeedsAMountNamespace: in the caller's mount namespace a new file system could
// not be told from another one that is at root.path when the container is deleted.
func TestNewRootNeedsAMountNamespace(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "other runtimes refuse a mount on the root")
	b := newBundle(t, withoutNamespace(specs.MountNamespace), withoutMasks, onRoot(specs.Mount{Type: "tmpfs", Source: "tmpfs"}))
	b.rt("run", "--bundle", b.dir, b.id).failed(t, `mounts[0]: a new file system on / needs a mount namespace of the container's own; add {"type": "mount"} to linux.namespaces`)
}
