package integration

import (
	"os"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// defaultDevices is what every container has in /dev.
//
// Source: runtime-spec config-linux.md "Default Devices", runtime-linux.md "Dev
// symbolic links".
const defaultDevices = `/dev/null char 0666 0:0 1:3
/dev/zero char 0666 0:0 1:5
/dev/full char 0666 0:0 1:7
/dev/random char 0666 0:0 1:8
/dev/urandom char 0666 0:0 1:9
/dev/tty char 0666 0:0 5:0
/dev/ptmx link 0777 0:0 pts/ptmx
/dev/fd link 0777 0:0 /proc/self/fd
/dev/stdin link 0777 0:0 /proc/self/fd/0
/dev/stdout link 0777 0:0 /proc/self/fd/1
/dev/stderr link 0777 0:0 /proc/self/fd/2
`

// statCommand asks for the paths of lines like those above.
func statCommand(lines string) []string {
	words := []string{"probe", "stat"}
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		path, _, _ := strings.Cut(line, " ")
		words = append(words, path)
	}
	return words
}

func TestDefaultDevices(t *testing.T) {
	t.Parallel()
	// A umask of the caller does not touch the modes.
	b := newBundle(t, args(statCommand(defaultDevices)...))
	res := call{root: b.root, args: b.line("run"), wrap: []string{"sh", "-c", `umask 077; exec "$@"`, "sh"}}.do(t).ok(t)
	if res.stdout != defaultDevices {
		t.Errorf("devices:\n%swant:\n%s", res.stdout, defaultDevices)
	}
}

func TestDefaultDevicesInUserNamespace(t *testing.T) {
	t.Parallel()
	out := script(t, "for d in null zero full random urandom tty; do probe stat /dev/$d; done; echo gone >/dev/null; head -c 4 /dev/zero | wc -c", userNamespace)
	for _, want := range []string{"/dev/null char 0666", "1:3\n", "/dev/urandom char 0666", "\n4\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

func device(d specs.LinuxDevice) edit {
	return func(s *specs.Spec) { s.Linux.Devices = append(s.Linux.Devices, d) }
}

func TestDevices(t *testing.T) {
	t.Parallel()
	mode := func(m uint32) *os.FileMode { v := os.FileMode(m); return &v }
	want := "/dev/fuse2 char 0640 3:4 10:229\n/dev/disk/one block 0600 0:0 7:300\n/dev/pipe fifo 0644 5:6\n/else/where char 0666 0:0 1:3\n"
	out := command(t, statCommand(want),
		device(specs.LinuxDevice{Path: "/dev/fuse2", Type: "c", Major: 10, Minor: 229, FileMode: mode(0o640), UID: ptr(uint32(3)), GID: ptr(uint32(4))}),
		device(specs.LinuxDevice{Path: "/dev/disk/one", Type: "b", Major: 7, Minor: 300, FileMode: mode(0o600)}),
		device(specs.LinuxDevice{Path: "/dev/pipe", Type: "p", FileMode: mode(0o644), UID: ptr(uint32(5)), GID: ptr(uint32(6))}),
		device(specs.LinuxDevice{Path: "/else/where", Type: "u", Major: 1, Minor: 3, FileMode: mode(0o666)}))
	if out != want {
		t.Errorf("devices:\n%swant:\n%s", out, want)
	}
}

// TestDeviceThere: "If a file already exists at path that does not match the
// requested device, the runtime MUST generate an error."
//
// Source: runtime-spec config-linux.md "Devices".
func TestDeviceThere(t *testing.T) {
	t.Parallel()
	// The file is in a folder that no mount covers.
	make := func(t *testing.T, kind uint32, dev uint64, d specs.LinuxDevice) *bundle {
		b := newBundle(t, args("probe", "stat", "/devices/node"))
		if err := os.Mkdir(b.rootfs("devices"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mknod(b.rootfs("devices/node"), kind|0o600, int(dev)); err != nil {
			t.Fatal(err)
		}
		d.Path = "/devices/node"
		device(d)(b.spec)
		b.writeSpec()
		return b
	}
	t.Run("the same", func(t *testing.T) {
		t.Parallel()
		b := make(t, unix.S_IFCHR, unix.Mkdev(10, 229), specs.LinuxDevice{Type: "c", Major: 10, Minor: 229})
		if out := b.run().ok(t).stdout; !strings.Contains(out, "char") || !strings.Contains(out, "10:229") {
			t.Errorf("device %q", out)
		}
	})
	for _, c := range []struct {
		name string
		kind uint32
		dev  uint64
	}{
		{"another number", unix.S_IFCHR, unix.Mkdev(1, 3)},
		{"another type", unix.S_IFBLK, unix.Mkdev(10, 229)},
		{"a file", unix.S_IFREG, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			hutchOnly(t, "1.1 takes any node that is there")
			make(t, c.kind, c.dev, specs.LinuxDevice{Type: "c", Major: 10, Minor: 229}).refuse([]string{"linux.devices[0]", "/devices/node"})
		})
	}
}

func TestDeviceRefused(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		device specs.LinuxDevice
		only   string
	}{
		{"unknown type", specs.LinuxDevice{Path: "/dev/x", Type: "z", Major: 1, Minor: 3}, ""},
		{"relative path", specs.LinuxDevice{Path: "dev/x", Type: "c", Major: 1, Minor: 3}, "1.1 takes it as absolute"},
		{"empty path", specs.LinuxDevice{Path: "", Type: "c", Major: 1, Minor: 3}, "1.1 makes the folder the device"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.only != "" {
				hutchOnly(t, c.only)
			}
			var texts []string
			if runtimeName == "hutch" {
				texts = []string{"linux.devices[0]"}
			}
			refused(t, texts, device(c.device))
		})
	}
}

func TestDeviceInUserNamespaceIsBound(t *testing.T) {
	t.Parallel()
	out := script(t, "probe stat /dev/kmsg; grep -c ' /dev/kmsg ' /proc/self/mountinfo", userNamespace,
		device(specs.LinuxDevice{Path: "/dev/kmsg", Type: "c", Major: 1, Minor: 11}))
	if !strings.Contains(out, "char") || !strings.HasSuffix(out, " 1:11\n1\n") {
		t.Errorf("output %q", out)
	}
}

func maskPaths(paths ...string) edit {
	return func(s *specs.Spec) { s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, paths...) }
}

func readonlyPaths(paths ...string) edit {
	return func(s *specs.Spec) { s.Linux.ReadonlyPaths = append(s.Linux.ReadonlyPaths, paths...) }
}

func TestMaskedPaths(t *testing.T) {
	t.Parallel()
	b := newBundle(t, maskPaths("/secret/dir", "/secret/file", "/proc/kcore", "/no/such/path", "/proc/sys/kernel/random"),
		sh("ls /secret/dir; cat /secret/file; echo ===; cat /proc/kcore; ls /proc/sys/kernel/random; touch /secret/dir/new; echo over >/secret/file; cat /secret/file; ls /no"))
	writeText(t, b.rootfs("secret/dir/hidden"), "dir\n")
	writeText(t, b.rootfs("secret/file"), "file\n")
	res := b.run()
	if res.stdout != "===\n" {
		t.Errorf("something of a masked path shows:\n%s", res)
	}
	if !strings.Contains(res.stderr, "Read-only file system") || !strings.Contains(res.stderr, "/no: No such file") {
		t.Errorf("the masks can be written, or a missing path was made:\n%s", res)
	}
	if got := readText(t, b.rootfs("secret/file")); got != "file\n" {
		t.Errorf("the image's file is now %q", got)
	}
}

func TestReadonlyPaths(t *testing.T) {
	t.Parallel()
	b := newBundle(t, readonlyPaths("/data/dir", "/data/file", "/proc/sys", "/no/such/path"),
		sh("cat /data/dir/in /data/file; touch /data/dir/new; echo x >/data/file; echo x >/proc/sys/kernel/hostname; echo x >/data/other; ls /no; grep -c /data /proc/self/mountinfo"))
	writeText(t, b.rootfs("data/dir/in"), "in\n")
	writeText(t, b.rootfs("data/file"), "file\n")
	res := b.run().String()
	if n := strings.Count(res, "Read-only file system"); n != 3 {
		t.Errorf("%d writes refused, want 3:\n%s", n, res)
	}
	if got := readText(t, b.rootfs("data/other")); got != "x\n" {
		t.Errorf("a path beside them is not writable: %q", got)
	}
}

// TestReadonlyPathKeepsFlags: nosuid, nodev and noexec of the mount stay.
func TestReadonlyPathKeepsFlags(t *testing.T) {
	t.Parallel()
	list := mountsIn(t, readonlyPaths("/data"), tmpfsMount("/data", "nosuid", "nodev", "noexec"))
	checkOptions(t, mountAt(t, list, "/data"), "ro,nosuid,nodev,noexec")
}
