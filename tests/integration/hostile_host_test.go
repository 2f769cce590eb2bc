package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Nothing of the host comes with the bundle: its inodes, its root, its procfs.

// changeAll tries to change what can be changed of an inode, and says what it
// became.
const changeAll = `for f in /proc/keys /proc/timer_list $NODES; do
	[ -e $f ] || continue
	chmod 667 $f && echo chmod $f; chown 0:0 $f && echo chown $f; touch -c $f && echo touch $f
done 2>/dev/null; : </proc/keys && echo x >/proc/keys && echo usable
`

// TestMaskIsNotTheHostsNull: by create, run, exec, and a startContainer hook's
// process alike the masks are the same mounts, so one of each is tried.
func TestMaskIsNotTheHostsNull(t *testing.T) {
	t.Parallel()
	before := stat(t, "/dev/null")
	check := func(what, out string) {
		t.Helper()
		if out != "usable\n" {
			t.Errorf("%s: %q", what, out)
		}
		if after := stat(t, "/dev/null"); after.Mode != before.Mode || after.Uid != before.Uid || after.Mtim != before.Mtim {
			t.Fatalf("%s: the host's /dev/null was %+v, is %+v", what, before, after)
		}
	}
	mask := maskPaths("/proc/keys", "/proc/timer_list")
	check("run", newBundle(t, sh(changeAll), mask).run().stdout)
	check("run with all capabilities but one", newBundle(t, sh(changeAll), mask, withCapabilities("CAP_FOWNER", "CAP_CHOWN", "CAP_DAC_OVERRIDE")).run().stdout)
	check("exec", asleep(t, mask).exec(nil, "sh", "-c", changeAll).stdout)
	const remount = `for f in /proc/keys /dev/null /dev/tty; do mount -o remount,bind,rw $f; touch -c $f; stat -c %d $f; done | sort -u`
	b := newBundle(t, sh(remount), mask, userNamespace, withCapabilities("CAP_SYS_ADMIN"))
	if out := b.run().stdout; strings.TrimSpace(out) == fmt.Sprint(before.Dev) || out == "" || stat(t, "/dev/null").Mtim != before.Mtim {
		t.Errorf("in a user namespace the nodes are the host's: %q", out)
	}
}

// TestWhatTheHostRestrictsIsLocked: root of a user namespace that may mount takes back no
// option of what is bound from the host, and uncovers nothing in it.
func TestWhatTheHostRestrictsIsLocked(t *testing.T) {
	t.Parallel()
	b := newBundle(t, userNamespace, withCapabilities("CAP_SYS_ADMIN"), sh(takesBack))
	mount(specs.Mount{Destination: "/volume", Type: "bind", Source: restrictedVolume(b), Options: []string{"rbind"}})(b.spec)
	b.writeSpec()
	if got := b.run().stdout; got != "done\n" {
		t.Errorf("got %q", got)
	}
	b.rt("plan", "--verify", "--bundle", b.dir).ok(t)
}

// TestWhatTheHostRestrictsIsLockedInAMountThatIsAdded: so does one whose container gets the
// bind while it runs, also where it has joined a namespace of the host's.
func TestWhatTheHostRestrictsIsLockedInAMountThatIsAdded(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such command")
	for name, edit := range map[string]edit{"own namespaces": func(*specs.Spec) {}, "names that are the host's": hostsNames} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, userNamespace, withCapabilities("CAP_SYS_ADMIN"), edit, sh("sleep 1000"))
			volume := restrictedVolume(b)
			b.create().start()
			b.rt("mounts", "add", b.id, mountsFile(b, specs.Mount{Destination: "/volume", Source: volume, Options: []string{"rbind"}})).ok(t)
			if r := b.rt("exec", b.id, "/bin/sh", "-c", "ls /volume/open; "+takesBack); r.stdout != "file\ndone\n" {
				t.Error(r)
			}
		})
	}
}

// hostsNames has the container join the host's uts namespace.
func hostsNames(s *specs.Spec) {
	namespace(specs.UTSNamespace, "/proc/self/ns/uts")(s)
	s.Hostname, s.Domainname = "", ""
}

// takesBack is a script that takes back what the host restricts of /volume.
const takesBack = `umount /volume/secret && echo unmounted
cat /volume/secret/file
mount -o remount,bind,rw,suid,dev /volume && echo remounted
touch /volume/open/new && echo written; echo done`

// restrictedVolume makes a file system of the host that is restricted, and of which a directory
// is covered, and returns where.
func restrictedVolume(b *bundle) string {
	t := b.t
	t.Helper()
	volume := b.path("volume")
	hostTmpfs(t, volume, "rw")
	hostMount(t, "--make-private", volume)
	writeText(t, volume+"/secret/file", "secret\n")
	writeText(t, volume+"/open/file", "")
	if err := os.Chmod(volume+"/open", 0o777); err != nil {
		t.Fatal(err)
	}
	hostTmpfs(t, volume+"/secret", "rw")
	hostMount(t, "-o", "remount,bind,ro,nosuid,nodev", volume)
	return volume
}

func stat(t *testing.T, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st
}

// TestDeviceOfNoHost: a user namespace's devices are as config.json says, also
// those that the host's /dev has not.
func TestDeviceOfNoHost(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "binds the host's")
	mode := os.FileMode(0o660)
	out := command(t, []string{"stat", "-c", "%u:%g %a %t:%T", "/dev/foo"}, userNamespace,
		device(specs.LinuxDevice{Path: "/dev/foo", Type: "b", Major: 1, Minor: 5, UID: ptr(uint32(10)), GID: ptr(uint32(11)), FileMode: &mode}),
		device(specs.LinuxDevice{Path: "/dev/ptmx", Type: "c", Major: 5, Minor: 2}))
	if out != "10:11 660 1:5\n" {
		t.Errorf("the device is %q", out)
	}
}

// TestRootPathIsNoLink: a link in the bundle does not make the host's files the
// container's; one on the way to the bundle may be there.
func TestRootPathIsNoLink(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		own := edit(func(*specs.Spec) {})
		if shared {
			own = callersMounts
		}
		for name, c := range map[string]struct{ path, link, to string }{
			"to the host": {"link", "link", "/"}, "to the root": {"link", "link", "rootfs"}, "on the way": {"way/rootfs", "way", "."},
		} {
			for _, absolute := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s absolute=%v shared=%v", name, absolute, shared), func(t *testing.T) {
					t.Parallel()
					hutchOnly(t, "another text")
					b := newBundle(t, sh("echo ran"), own)
					if err := os.Symlink(c.to, filepath.Join(b.dir, c.link)); err != nil {
						t.Fatal(err)
					}
					b.spec.Root.Path = c.path
					if absolute {
						b.spec.Root.Path = filepath.Join(b.dir, c.path)
					}
					b.writeSpec()
					real, err := filepath.EvalSymlinks(filepath.Join(b.dir, c.path))
					if err != nil {
						t.Fatal(err)
					}
					res := b.run()
					for _, text := range []string{"root.path", "must not be a symbolic link, nor lead over one", "write " + real + " in root.path"} {
						if res.code != 1 || res.stdout != "" || !strings.Contains(res.stderr, text) {
							t.Errorf("want %q: %s", text, res)
						}
					}
					if err := os.Remove(filepath.Join(b.dir, c.link)); err != nil {
						t.Fatal(err)
					}
					b.nothingLeft()
				})
			}
		}
		t.Run(fmt.Sprintf("link to the bundle shared=%v", shared), func(t *testing.T) {
			for _, path := range []string{"rootfs", "../bundle/rootfs"} {
				b := newBundle(t, sh("echo ran"), own, func(s *specs.Spec) { s.Root.Path = path })
				link := b.path("to-bundle")
				if err := os.Symlink(b.dir, link); err != nil {
					t.Fatal(err)
				}
				if out := b.rt("run", "--bundle", link, b.id).ok(t).stdout; out != "ran\n" {
					t.Errorf("root.path %s: output %q", path, out)
				}
				if got := mountsWith("/" + b.id + "/"); len(got) > 0 {
					t.Errorf("left: %q", got)
				}
			}
		})
	}
}

// TestNoPivotRevealsNoProc: without pivot_root the host's procfs and sysfs stay
// not beneath, where they would let a user namespace have new ones without masks.
func TestNoPivotRevealsNoProc(t *testing.T) {
	t.Parallel()
	for _, flags := range [][]string{nil, {"--no-pivot"}} {
		b := newBundle(t, maskPaths("/proc/keys", "/sys/firmware"), withCapabilities("CAP_SETFCAP"),
			sh(`unshare -Urmpf sh -c 'mount -t proc none /tmp && echo proc' 2>/dev/null; unshare -Urmn sh -c 'mount -t sysfs none /tmp && echo sysfs' 2>/dev/null; unshare -Ur echo user`))
		if out := b.run(flags...).stdout; out != "user\n" {
			t.Errorf("%v: %q", flags, out)
		}
	}
}
