package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// chrooted returns the words that run a command line of the runtime in a chroot whose root
// directory is no mount, or is mounted, where the files of the tests are at their places.
func chrooted(t *testing.T, mounted bool) []string {
	t.Helper()
	runtime, err := publicRuntime()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if mounted {
		if err := unix.Mount(root, root, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(root, unix.MNT_DETACH) })
	}
	chroot, err := exec.LookPath("chroot")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/proc", "/sys", "/dev", "/bin", "/lib", "/lib64", "/usr", workDir} {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		at := filepath.Join(root, dir)
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount(dir, at, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	}
	return []string{"/bin/sh", "-c", `chroot=$1; root=$2; runtime=$3; shift 4; exec "$chroot" "$root" "$runtime" "$@"`, "sh", chroot, root, runtime}
}

// TestChroot: a runtime in a chroot runs containers, with --no-pivot and without, with hooks
// and exec; who goes to the top of the container's mount
// namespace is in the container, and nothing of the host is mounted there.
func TestChroot(t *testing.T) {
	hutchOnly(t, "runc wants a mount")
	for i, flags := range [][]string{nil, {"--no-pivot"}, nil, {"--no-pivot"}} {
		mounted := i >= 2 // as by arch-chroot
		wrap := chrooted(t, mounted)
		for _, hooked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, mounted %t, hooks %t", flags, mounted, hooked), func(t *testing.T) {
				b := newBundle(t, sh("sleep 1000"), tmpfsMount("/mnt"))
				writeText(t, b.path("shared/file"), "bound\n")
				bindMount(b.path("shared"), "/opt", "rbind")(b.spec)
				if hooked {
					for _, kind := range hookKinds()[:3] {
						hooks(kind, hook("echo "+kind+" >>"+b.path("ran")))(b.spec)
					}
				}
				b.writeSpec()
				do := func(words ...string) result {
					return call{root: b.root, args: words, wrap: wrap}.do(t)
				}
				c := b.createCall(flags...)
				c.wrap = wrap
				c.do(t).ok(t)
				b.readPid()
				b.start()
				if r := do("exec", b.id, "/bin/sh", "-c", "cat /opt/file; ls -d /mnt"); r.stdout != "bound\n/mnt\n" || r.code != 0 {
					t.Error(r)
				}
				if hooked {
					if got := readText(t, b.path("ran")); got != "prestart\ncreateRuntime\ncreateContainer\n" {
						t.Errorf("hooks: %q", got)
					}
				}
				top, err := exec.Command("nsenter", "--target", strconv.Itoa(b.pid), "--mount", "--pid", "/bin/sh", "-c", "cat /opt/file; cat /proc/mounts").CombinedOutput()
				if text, is := strings.CutPrefix(string(top), "bound\n"); err != nil || !is || strings.Contains(text, workDir) {
					t.Errorf("at the top of the mount namespace: %v, %s", err, top)
				}
			})
		}
	}
}

// TestChrootRevealsNoProc: the host's procfs and sysfs stay not beneath, also where the chroot
// hides them from the runtime.
func TestChrootRevealsNoProc(t *testing.T) {
	hutchOnly(t, "runc wants a mount")
	wrap := chrooted(t, false)
	for _, flags := range [][]string{nil, {"--no-pivot"}} {
		b := newBundle(t, maskPaths("/proc/keys", "/sys/firmware"), withCapabilities("CAP_SETFCAP"),
			sh(`unshare -Urmpf sh -c 'mount -t proc none /tmp && echo proc' 2>/dev/null; unshare -Urmn sh -c 'mount -t sysfs none /tmp && echo sysfs' 2>/dev/null; unshare -Ur echo user`))
		c := call{root: b.root, args: b.line("run", flags...), wrap: wrap}
		if r := c.do(t); r.stdout != "user\n" {
			t.Errorf("%v: %v", flags, r)
		}
	}
}

// TestChrootRefusesRestores: CRIU changes the root by a pivot_root that leaves what is above a
// chroot.
func TestChrootRefusesRestores(t *testing.T) {
	hutchOnly(t, "runc restores there")
	for _, mounted := range []bool{false, true} {
		b := newBundle(t)
		c := call{root: b.root, args: b.line("restore", "--image-path", b.path("images")), wrap: chrooted(t, mounted)}
		if r := c.do(t); r.code == 0 || !strings.Contains(r.stderr, "in a chroot, whose root alone CRIU's pivot_root takes away") {
			t.Errorf("mounted %t: %v", mounted, r)
		}
	}
}
