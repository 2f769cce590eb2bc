package rootfs

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestDefaultMountsDevicesAndCalls(t *testing.T) {
	w := newWorld(t, defaults()...)
	w.spec.Root.Readonly = true
	w.spec.Linux.MaskedPaths = []string{"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"}
	w.spec.Linux.ReadonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
	m := w.mounts()
	for at, want := range map[string]string{
		"/":                "ro,relatime",
		"/proc":            "rw,relatime - proc proc rw",
		"/dev":             "rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755",
		"/dev/pts":         "rw,nosuid,noexec,relatime - devpts devpts rw,gid=5,mode=620,ptmxmode=666",
		"/dev/shm":         "rw,nosuid,nodev,noexec,relatime - tmpfs shm rw,size=65536k",
		"/dev/mqueue":      "rw,nosuid,nodev,noexec,relatime - mqueue mqueue rw",
		"/sys":             "ro,nosuid,nodev,noexec,relatime - sysfs sysfs rw",
		"/proc/sys":        "ro,relatime - proc proc rw",
		"/proc/timer_list": "",
		"/sys/firmware":    "ro,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755",
	} {
		if got, ok := m[at]; !ok || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", at, got, want)
		}
	}
	const most = 100
	if w.total > most {
		t.Errorf("%d system calls, want at most %d: %v", w.total, most, w.calls)
	}
	t.Logf("%d system calls: %v", w.total, w.calls)

	got := w.ok(`cd /dev; for f in null zero full random urandom tty; do stat -c "%n %t:%T %a %F" $f; done; ls -l fd stdin stdout stderr ptmx | sed 's/.* \(.*\) -> /\1 /'
		wc -c </proc/timer_list; ls -A /sys/firmware | wc -l; echo x >/proc/sys/kernel/domainname; touch /x`)
	want := `null 1:3 666 character special file
zero 1:5 666 character special file
full 1:7 666 character special file
random 1:8 666 character special file
urandom 1:9 666 character special file
tty 5:0 666 character special file
fd /proc/self/fd
ptmx pts/ptmx
stderr /proc/self/fd/2
stdin /proc/self/fd/0
stdout /proc/self/fd/1
0
0
sh: can't create /proc/sys/kernel/domainname: Read-only file system
touch: /x: Read-only file system
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A container that mounts on what hides a file must not mount on the host's null
// device.
func TestMaskedFilesAreNoPeersOfTheHost(t *testing.T) {
	w := newWorld(t, proc(), dev())
	w.spec.Linux.MaskedPaths = []string{"/proc/timer_list", "/proc/keys"}
	out := w.ok(`echo evil >/tmp/evil; for f in timer_list keys; do mount -o bind /tmp/evil /proc/$f && cat /proc/$f; done`)
	if out != "evil\nevil\n" {
		t.Fatalf("the test's mounts: %q", out)
	}
	if fi, err := os.Stat("/dev/null"); err != nil || fi.Mode()&os.ModeCharDevice == 0 {
		t.Errorf("the host's /dev/null is covered: %v %v", fi, err)
	}
}

func TestReadonlyIsTheMountsAlone(t *testing.T) {
	w := newWorld(t, defaults()...)
	w.spec.Linux.MaskedPaths = nil
	if out := w.ok(`mount -t sysfs sysfs /tmp && grep " /tmp " /proc/self/mountinfo`); !strings.Contains(out, "- sysfs sysfs rw") {
		t.Errorf("a second sysfs of the namespace: %q", out)
	}
}

func TestManyMasksShareOneMount(t *testing.T) {
	w := newWorld(t, proc())
	var files, dirs int
	for i := range 300 {
		p := fmt.Sprintf("/tmp/%d", i)
		if i%3 == 0 {
			must(t, os.Mkdir(w.inRoot(p), 0o755))
			dirs++
		} else {
			must(t, os.WriteFile(w.inRoot(p), []byte("secret"), 0o644))
			files++
		}
		w.spec.Linux.MaskedPaths = append(w.spec.Linux.MaskedPaths, p)
	}
	w.spec.Linux.MaskedPaths = append(w.spec.Linux.MaskedPaths, "/tmp/none", "/tmp/1/below")
	out := w.ok(`cat /tmp/?  /tmp/?? /tmp/??? 2>/dev/null; grep -c ' /tmp/[0-9]* .*- tmpfs' /proc/self/mountinfo; grep ' /tmp/.*- tmpfs' /proc/self/mountinfo | cut -d' ' -f3 | sort -u | wc -l; grep -c ' /null /tmp/' /proc/self/mountinfo`)
	if want := fmt.Sprintf("%d\n1\n%d\n", dirs, files); out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestTargets(t *testing.T) {
	w := newWorld(t)
	must(t, os.WriteFile(w.path("file"), []byte("bound\n"), 0o644))
	must(t, os.MkdirAll(w.path("src/sub"), 0o755))
	must(t, os.WriteFile(w.path("src/in"), []byte("in\n"), 0o644))
	must(t, os.Symlink("../run/made/resolv.conf", w.inRoot("etc/resolv.conf")))
	must(t, os.Symlink("/var/data", w.inRoot("link")))
	w.spec.Mounts = []specs.Mount{
		proc(),
		bind(w.path("file"), "/etc/hostname"),             // missing file
		bind(w.path("file"), "/a/b/c"),                    // missing directories
		bind(w.path("src"), "/d"),                         // missing directory
		bind(w.path("src"), "/e/f/../g"),                  // not clean
		bind(w.path("file"), "/etc/resolv.conf"),          // dangling link, Docker's
		bind(w.path("src"), "/link"),                      // dangling link to a directory
		tmpfs("/link2/../tmp", "mode=700"),                // a link in between that is not there
		bind(w.path("src"), "relative/dest"),              // as from "/"
		bind(w.path("file"), "/proc/uptime"),              // lxcfs
		{Destination: "/t", Type: "tmpfs", Source: ""},    // no source
		{Destination: "/t/u", Type: "tmpfs", Source: "x"}, // in it
	}
	out := w.ok(`cat /etc/hostname /a/b/c /d/in /e/g/in /run/made/resolv.conf /var/data/in /relative/dest/in /proc/uptime; grep -c ' /t/*u* ' /proc/self/mountinfo; stat -c %a /tmp`)
	if want := "bound\nbound\nin\nin\nbound\nin\nin\nbound\n2\n700\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestRefusedTargets(t *testing.T) {
	file := func(w *world) string {
		p := w.path("file")
		must(w.t, os.WriteFile(p, nil, 0o644))
		return p
	}
	for name, c := range map[string]struct {
		lay   func(w *world)
		words []string
	}{
		"directory on file": {func(w *world) {
			must(w.t, os.WriteFile(w.inRoot("etc/f"), nil, 0o644))
			w.spec.Mounts = []specs.Mount{bind(w.dir, "/etc/f")}
		}, []string{"mounts[0]: bind ", " on /etc/f: the source is a directory, the target is a file: not a directory"}},
		"file on directory": {func(w *world) { w.spec.Mounts = []specs.Mount{bind(file(w), "/etc")} },
			[]string{"the source is a file, the target is a directory: not a directory"}},
		"no source": {func(w *world) { w.spec.Mounts = []specs.Mount{bind("/no/such", "/mnt")} },
			[]string{"mounts[0]: bind /no/such on /mnt: open source /no/such: no such file or directory"}},
		"proc is a link": {func(w *world) {
			must(w.t, os.Remove(w.inRoot("proc")))
			must(w.t, os.Mkdir(w.inRoot("bad-proc"), 0o755))
			must(w.t, os.Symlink("/bad-proc", w.inRoot("proc")))
			w.spec.Mounts = []specs.Mount{proc()}
		}, []string{"mounts[0]: mount proc on /proc: ", "must be an ordinary directory"}},
		"proc below a link": {func(w *world) {
			must(w.t, os.Symlink("/etc", w.inRoot("a")))
			w.spec.Mounts = []specs.Mount{{Destination: "/a/b", Type: "proc"}}
		}, []string{"must be an ordinary directory"}},
		"inside proc": {func(w *world) { w.spec.Mounts = []specs.Mount{proc(), tmpfs("/proc/self")} },
			[]string{"mounts[1]", "inside /proc"}},
		"inside proc by a link": {func(w *world) {
			must(w.t, os.Symlink("/proc/sys", w.inRoot("s")))
			w.spec.Mounts = []specs.Mount{proc(), tmpfs("/s")}
		}, []string{"mounts[1]: mount tmpfs on /s: target /s cannot be mounted because it is inside /proc"}},
		"a file inside proc by a link": {func(w *world) {
			must(w.t, os.Symlink("../proc/sys/kernel/core_pattern", w.inRoot("etc/f")))
			w.spec.Mounts = []specs.Mount{proc(), bind(file(w), "/etc/f")}
		}, []string{"mounts[1]", "inside /proc"}},
		"something else on proc": {func(w *world) { w.spec.Mounts = []specs.Mount{bind(w.dir, "/proc")} },
			[]string{"only a procfs may be bound on /proc"}},
		"tmpfs on proc":  {func(w *world) { w.spec.Mounts = []specs.Mount{tmpfs("/proc")} }, []string{"config.json: mounts[0].destination: only a file system of type proc"}},
		"data of a bind": {func(w *world) { w.spec.Mounts = []specs.Mount{bind(w.dir, "/a", "size=5")} }, []string{`"size=5"`}},
		"mapped tmpfs":   {func(w *world) { w.spec.Mounts = []specs.Mount{tmpfs("/a", "idmap", "remount")} }, []string{"mounts[0].options: a remount"}},
		"wrong option":   {func(w *world) { w.spec.Mounts = []specs.Mount{tmpfs("/mnt", "mode=755", "size=many")} }, []string{"mounts[0]: mount tmpfs on /mnt: option size=many: invalid argument"}},
		"unknown type":   {func(w *world) { w.spec.Mounts = []specs.Mount{{Destination: "/mnt", Type: "nosuchfs"}} }, []string{"fsopen nosuchfs: no such device"}},
		"dev is a link": {func(w *world) {
			must(w.t, os.Remove(w.inRoot("dev")))
			must(w.t, os.Symlink(w.path("canary"), w.inRoot("dev")))
		}, []string{"open /dev, which must be a directory"}},
		"dev is a link inside": {func(w *world) {
			must(w.t, os.Remove(w.inRoot("dev")))
			must(w.t, os.Mkdir(w.inRoot("other"), 0o755))
			must(w.t, os.Symlink("other", w.inRoot("dev")))
		}, []string{"open /dev, which must be a directory"}},
		"dev is a link up": {func(w *world) {
			must(w.t, os.Remove(w.inRoot("dev")))
			must(w.t, os.Symlink("../canary", w.inRoot("dev")))
		}, []string{"open /dev, which must be a directory"}},
		"wrong propagation": {func(w *world) { w.spec.Linux.RootfsPropagation = "often" }, []string{`linux.rootfsPropagation: "often"`}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.lay(w)
			w.fails(c.words...)
		})
	}
}

// Links of the image that lead out of it are followed inside.
func TestLinksStayInside(t *testing.T) {
	w := newWorld(t, proc())
	up := strings.Repeat("../", 12)
	must(t, os.Symlink(up+w.path("canary")[1:]+"/file", w.inRoot("etc/up")))
	must(t, os.Symlink(w.path("canary")+"/new", w.inRoot("etc/new")))
	must(t, os.Symlink(w.path("canary"), w.inRoot("vol")))
	must(t, os.WriteFile(w.path("file"), []byte("bound\n"), 0o644))
	w.spec.Mounts = append(w.spec.Mounts, bind(w.path("file"), "/etc/up"), bind(w.path("file"), "/etc/new"), tmpfs("/vol/deep/er"))
	w.spec.Linux.MaskedPaths = []string{"/vol/file"}
	w.spec.Linux.ReadonlyPaths = []string{"/vol/dir"}
	w.spec.Linux.Devices = []specs.LinuxDevice{{Path: "/vol/node", Type: "p"}}
	out := w.ok("cat /etc/up /etc/new; ls " + w.path("canary"))
	// /etc/up leads to what is masked.
	if want := "bound\ndeep\nfile\nnew\nnode\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
	if data, err := os.ReadFile(w.path("canary/file")); err != nil || string(data) != "canary\n" {
		t.Errorf("canary: %q %v", data, err)
	}
}

func TestTmpfs(t *testing.T) {
	w := newWorld(t, proc())
	for _, d := range []string{"m", "up/sub", "ro"} {
		must(t, os.MkdirAll(w.inRoot(d), 0o755))
	}
	must(t, unix.Chmod(w.inRoot("m"), 0o1750))
	must(t, os.WriteFile(w.inRoot("up/sub/f"), []byte("copied\n"), 0o640))
	must(t, os.Chown(w.inRoot("up/sub/f"), 7, 8))
	must(t, os.Symlink("/canary", w.inRoot("up/l")))
	w.spec.Mounts = append(w.spec.Mounts, tmpfs("/m"), tmpfs("/up", "tmpcopyup", "ro"), tmpfs("/ro", "ro"), tmpfs("/ro/in", "mode=711"), tmpfs("/new/one"))
	out := w.ok(`stat -c "%a %u" /m /ro/in /new/one; cd /up; cat sub/f; stat -c "%a %u %g" sub/f; readlink l; touch /up/x /ro/x /ro/in/x`)
	want := "1750 0\n711 0\n1777 0\ncopied\n640 7 8\n/canary\ntouch: /up/x: Read-only file system\ntouch: /ro/x: Read-only file system\n"
	if out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestDevices(t *testing.T) {
	mode, id := os.FileMode(0o620), uint32(9)
	devices := []specs.LinuxDevice{
		{Path: "/dev/mine", Type: "c", Major: 1, Minor: 5, FileMode: &mode, UID: &id, GID: &id},
		{Path: "/dev/net/tun", Type: "c", Major: 10, Minor: 200},
		{Path: "/else/pipe", Type: "p", GID: &id},
		{Path: "/dev/null", Type: "c", Major: 1, Minor: 3, FileMode: &mode},
	}
	for name, mounts := range map[string][]specs.Mount{"tmpfs": {proc(), dev()}, "image": {proc()}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, mounts...)
			defer unix.Umask(unix.Umask(0o077))
			w.spec.Linux.Devices = devices
			got := w.ok(`umask; stat -c "%n %a %u %g %t:%T %F" /dev/mine /dev/net/tun /else/pipe /dev/null /dev/zero`)
			want := `0077
/dev/mine 620 9 9 1:5 character special file
/dev/net/tun 666 0 0 a:c8 character special file
/else/pipe 666 0 9 0:0 fifo
/dev/null 620 0 0 1:3 character special file
/dev/zero 666 0 0 1:5 character special file
`
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if name == "image" { // what is there from the first time is right
				if again := w.ok(`stat -c "%a" /dev/mine`); again != "620\n" {
					t.Errorf("the second time: %q", again)
				}
			}
		})
	}
}

// TestMountPointsAreMadeWhole: a mount point that is missing is made with the whole of its
// mode, whatever the caller's umask is, and the umask is the caller's afterwards.
func TestMountPointsAreMadeWhole(t *testing.T) {
	w := newWorld(t, proc(), dev(), bind("/etc/hostname", "/made/dir/file"))
	defer unix.Umask(unix.Umask(0o777))
	defer func(dir string) { must(t, os.Chmod(dir, 0o755)) }(w.dir)
	if got := w.ok("umask; ls -ld /made /made/dir | cut -c1-10"); got != "0777\ndrwxr-xr-x\ndrwxr-xr-x\n" {
		t.Errorf("got %q", got)
	}
	var st unix.Stat_t
	must(t, unix.Stat(w.inRoot("made/dir/file"), &st))
	if st.Mode&0o777 != 0o644 {
		t.Errorf("the file has mode %o", st.Mode&0o777)
	}
}

func TestExistingDeviceMustMatch(t *testing.T) {
	for name, make := range map[string]func(p string) error{
		"another device": func(p string) error { return unix.Mknod(p, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) },
		"a file":         func(p string) error { return os.WriteFile(p, nil, 0o666) },
		"a link":         func(p string) error { return os.Symlink("null", p) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			must(t, make(w.inRoot("dev/full")))
			w.spec.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/full", Type: "c", Major: 1, Minor: 7}}
			w.fails("linux.devices[0]: make /dev/full: /dev/full is there and is another file than character device 1:7", "file exists")
		})
	}
}

func TestNoDevicesInABoundDev(t *testing.T) {
	w := newWorld(t, proc())
	must(t, os.Mkdir(w.path("hostdev"), 0o755))
	w.spec.Mounts = append(w.spec.Mounts, bind(w.path("hostdev"), "/dev"))
	if out := w.ok("ls -A /dev"); out != "" {
		t.Errorf("in the bound /dev: %q", out)
	}
}

func TestNoPivot(t *testing.T) {
	w := newWorld(t, defaults()...)
	w.c.NoPivot = true
	if out := w.ok("pwd; ls /; grep -c ' /proc ' /proc/self/mountinfo"); !strings.HasPrefix(out, "/\nbin\ndev\netc\n") || !strings.HasSuffix(out, "\n1\n") {
		t.Errorf("got %q", out)
	}
}

func TestNotifyDirectory(t *testing.T) {
	w := newWorld(t, proc())
	must(t, os.Mkdir(w.path("n"), 0o755))
	must(t, os.WriteFile(w.path("n/notify.sock"), nil, 0o644))
	w.c.NotifyDir, w.c.NotifyTarget = w.path("n"), "/run/notify"
	if got := w.mounts()["/run/notify"]; !strings.HasPrefix(got, "ro,nosuid,nodev,noexec,relatime - ") {
		t.Errorf("/run/notify: %q", got)
	}
}
