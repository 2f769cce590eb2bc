package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// mountsFile writes a file for mounts add and remove.
func mountsFile(b *bundle, mounts ...specs.Mount) string {
	b.t.Helper()
	text, err := json.Marshal(mounts)
	if err != nil {
		b.t.Fatal(err)
	}
	return writeText(b.t, b.path("mounts.json"), string(text))
}

// TestMountsAddAndRemove: a container that runs gets mounts with their options, on mount
// points that are there and that are not, and loses them.
//
// Source: crun's mounts.
func TestMountsAddAndRemove(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such command")
	for _, s := range standings() {
		for _, state := range []string{"created", "running"} {
			t.Run(s.name+", "+state, func(t *testing.T) {
				g := s.guest(t, sh("sleep 1000"))
				g.writeSpec()
				g.as(g.createCall()).do(t).ok(t)
				g.readPid()
				if state == "running" {
					g.do("start", g.id).ok(t)
				}
				writeText(t, g.path("shared/file"), "bound\n")
				writeText(t, g.path("single"), "one file\n")
				list := mountsFile(g.bundle,
					specs.Mount{Destination: "/mnt", Source: g.path("shared"), Options: []string{"rbind", "ro", "nosuid"}},
					specs.Mount{Destination: "/no/such/file", Source: g.path("single"), Options: []string{"bind"}},
					specs.Mount{Destination: "/tmp/own", Type: "tmpfs", Source: "own", Options: []string{"nodev", "mode=711"}},
					specs.Mount{Destination: "/tmp/fixed", Type: "tmpfs", Source: "fixed", Options: []string{"ro"}})
				g.do("mounts", "add", g.id, list).ok(t)
				script := `cat /mnt/file /no/such/file; touch /mnt/x 2>&1; touch /tmp/own/x && echo written; touch /tmp/fixed/x 2>&1; stat -c %a /tmp/own; grep -c " /mnt .*ro,nosuid" /proc/mounts`
				want := "bound\none file\ntouch: /mnt/x: Read-only file system\nwritten\ntouch: /tmp/fixed/x: Read-only file system\n711\n1\n"
				if r := g.do("exec", g.id, "/bin/sh", "-c", script); r.stdout != want {
					t.Errorf("want %q\n%v", want, r)
				}
				if got := mountsWith(g.path("shared")); len(got) > 0 {
					t.Errorf("on the host: %q", got)
				}
				g.do("mounts", "remove", g.id, list).ok(t)
				if r := g.do("exec", g.id, "/bin/sh", "-c", "ls /mnt; cat /no/such/file; grep -E ' (/mnt|/tmp|/no)' /proc/mounts"); strings.TrimSpace(r.stdout) != "" {
					t.Error(r)
				}
			})
		}
	}
}

// TestMountsAddIdmapped: a bind is mapped as in config.json, by numbers and by the option.
func TestMountsAddIdmapped(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such command")
	b := newBundle(t, sh("sleep 1000"), userNamespace)
	b.create().start()
	dir := b.path("shared")
	writeText(t, dir+"/file", "x")
	if err := os.Chown(dir+"/file", 5, 6); err != nil {
		t.Fatal(err)
	}
	list := mountsFile(b,
		specs.Mount{Destination: "/mnt", Source: dir, Options: []string{"bind", "idmap"}},
		specs.Mount{Destination: "/opt", Source: dir, Options: []string{"bind", "idmap=uids=5-@7-1;gids=6-@8-1"}},
		specs.Mount{Destination: "/srv", Source: dir, Options: []string{"bind", "idmap=uids=@5-7-1;gids=@6-8-1"}})
	if r := b.rt("mounts", "add", b.id, list); r.code == 0 {
		t.Errorf("an option that is none: %v", r)
	}
	list = mountsFile(b,
		specs.Mount{Destination: "/mnt", Source: dir, Options: []string{"bind", "idmap"}},
		specs.Mount{Destination: "/srv", Source: dir, Options: []string{"bind", "idmap=uids=@5-7-1;gids=@6-8-1"}})
	b.rt("mounts", "add", b.id, list).ok(t)
	if r := b.rt("exec", b.id, "/bin/sh", "-c", "stat -c %u:%g /mnt/file /srv/file"); r.stdout != "5:6\n7:8\n" {
		t.Error(r)
	}
}

// TestMountsRefused: what is not for a container that runs is refused by name, and nothing
// happens.
func TestMountsRefused(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such command")
	b := newBundle(t, sh("sleep 1000"))
	b.create().start()
	if err := os.Symlink("/proc", b.rootfs("srv-link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what  string
		mount specs.Mount
		want  string
	}{
		{"add", specs.Mount{Destination: "/", Source: "/tmp", Options: []string{"bind"}}, `mounts[0].destination: "/" is of the container's making`},
		{"add", specs.Mount{Destination: "/proc", Type: "tmpfs"}, "is of the container's making"},
		{"remove", specs.Mount{Destination: "/proc/keys"}, "is of the container's making"},
		{"add", specs.Mount{Destination: "/mnt", Type: "proc"}, `"proc" is not for a container that runs`},
		{"add", specs.Mount{Destination: "/mnt", Source: "tmp", Options: []string{"bind"}}, `mounts[0].source: "tmp" is no absolute path`},
		{"add", specs.Mount{Destination: "/mnt", Source: "/no/such", Options: []string{"bind"}}, "mounts[0]: bind /no/such on /mnt: open source /no/such"},
		{"add", specs.Mount{Destination: "/srv-link", Type: "tmpfs"}, "inside /proc, where a symbolic link leads"},
		{"remove", specs.Mount{Destination: "/srv-link/keys"}, "which no symbolic link may lead to"},
		{"remove", specs.Mount{Destination: "/tmp"}, "unmount /tmp: unmount it (is it a mount, and the last there?): invalid argument"},
		{"change", specs.Mount{Destination: "/mnt"}, `"change" is neither add nor remove`},
	} {
		if r := b.rt("mounts", c.what, b.id, mountsFile(b, c.mount)); r.code != 1 || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%s: want %q\n%v", c.what, c.want, r)
		}
	}
	b.kill("KILL").wait() // it does not end at once
	b.status("stopped")
	if r := b.rt("mounts", "add", b.id, mountsFile(b, specs.Mount{Destination: "/mnt", Type: "tmpfs"})); r.code != 1 || !strings.Contains(r.stderr, "the container is stopped") {
		t.Error(r)
	}
}

// TestMountsAddNamesFilesOfTheHost: what a new file system is made of is the host's, whatever
// the container has at the same path.
func TestMountsAddNamesFilesOfTheHost(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such command")
	b := newBundle(t, sh("sleep 1000"))
	b.create().start()
	for _, dir := range []string{"lower", "below"} {
		writeText(t, b.path(dir+"/host"), "x")
	}
	if err := os.MkdirAll(b.rootfs(filepath.Dir(b.path("lower"))), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/sys", b.rootfs(b.path("lower"))); err != nil {
		t.Fatal(err)
	}
	list := mountsFile(b, specs.Mount{Destination: "/mnt", Type: "overlay", Source: "overlay",
		Options: []string{"ro", "lowerdir=" + b.path("lower") + ":" + b.path("below")}})
	b.rt("mounts", "add", b.id, list).ok(t)
	if r := b.rt("exec", b.id, "/bin/ls", "/mnt"); r.stdout != "host\n" {
		t.Error(r)
	}
	b.rt("mounts", "remove", b.id, list).ok(t)
	if err := os.Remove(b.rootfs(b.path("lower"))); err != nil {
		t.Fatal(err)
	}
	writeText(t, b.rootfs(b.path("disk")), "an image's, in the place of a device")
	r := b.rt("mounts", "add", b.id, mountsFile(b, specs.Mount{Destination: "/mnt", Type: "ext4", Source: b.path("disk")}))
	if r.code != 1 || !strings.Contains(r.stderr, "create the file system ext4: no such file or directory") {
		t.Errorf("want it looked for on the host\n%v", r)
	}
	u := newBundle(t, sh("sleep 1000"), userNamespace)
	u.create().start()
	r = u.rt("mounts", "add", u.id, mountsFile(u, specs.Mount{Destination: "/mnt", Type: "overlay", Options: []string{"lowerdir=/a:/b"}}))
	if want := `mounts[0].type: "overlay" is not for a container that runs in a user namespace; mount it on the host, and bind that`; !strings.Contains(r.stderr, want) {
		t.Errorf("want %q\n%v", want, r)
	}
}

// TestMountsAddMakesNothingBesideTheImage: a container that has mounted a directory of the host,
// in which it may write nothing, on its root has no mount points made there with the runtime's
// rights: neither beside its own name nor behind a link.
func TestMountsAddMakesNothingBesideTheImage(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such command")
	b := newBundle(t, userNamespace, withCapabilities("CAP_SYS_ADMIN"), sh("mount --bind /volume / && echo mounted && sleep 1000"))
	volume := b.path("volume")
	writeText(t, volume+"/below/file", "")
	if err := os.Symlink("below/behind", volume+"/link"); err != nil {
		t.Fatal(err)
	}
	mount(specs.Mount{Destination: "/volume", Type: "bind", Source: volume, Options: []string{"bind"}})(b.spec)
	b.writeSpec()
	b.create().start()
	eventually(t, "it has mounted it", func() bool { return b.output() == "mounted\n" })
	for _, dest := range []string{"/new", "/below/new/deep", "/link"} {
		for _, m := range []specs.Mount{{Type: "tmpfs"}, {Source: volume + "/below/file", Options: []string{"bind"}}} {
			m.Destination = dest
			if r := b.rt("mounts", "add", b.id, mountsFile(b, m)); r.code != 1 || !strings.Contains(r.stderr, "permission denied") {
				t.Errorf("%s: %v", dest, r)
			}
		}
	}
	for dir, want := range map[string]string{volume: "below link", volume + "/below": "file"} {
		entries, err := os.ReadDir(dir)
		var got []string
		for _, e := range entries {
			got = append(got, e.Name())
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s has %q (%v), want %q", dir, got, err, want)
		}
	}
}
