package integration

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// A racer plays a second container that shares a volume: it swaps a name for a
// link while containers are made.

const (
	raceRuns = 30
)

// swap exchanges two names over and over until the test ends.
//
// Source: renameat2(2), RENAME_EXCHANGE.
func swap(t testing.TB, a, b string) *atomic.Int64 {
	t.Helper()
	if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
		t.Fatalf("renameat2 %s %s: %v", a, b, err)
	}
	var count atomic.Int64
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; !stop.Load(); n++ {
			if unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE) == nil {
				count.Add(1)
			}
			// Also leave each state in place for longer than one system call.
			for range n % 64 {
				runtime.Gosched()
			}
		}
	}()
	t.Cleanup(func() { stop.Store(true); <-done })
	return &count
}

// race runs the container again and again. Each run must be refused, or end
// well and print a mount table that shows nothing of the host.
func (c *canary) race(swaps *atomic.Int64, flags ...string) {
	b := c.b
	b.t.Helper()
	ran, refused := 0, 0
	for i := range repetitions(raceRuns) {
		res := b.run(flags...)
		switch {
		case res.code == 0:
			ran++
			b.onlyConfiguredMounts(res.stdout)
		case res.code == badExit:
			b.t.Errorf("run %d: the container saw a breach:\n%s", i, res)
		default:
			refused++
			res.failed(b.t)
			b.rt("delete", "--force", b.id)
		}
		c.check("a run")
		if b.t.Failed() {
			b.t.Fatalf("in run %d, after %d swaps:\n%s", i, swaps.Load(), res)
		}
	}
	b.t.Logf("%d ran, %d refused, %d swaps", ran, refused, swaps.Load())
	if n := int64(ran + refused); swaps.Load() < n {
		b.t.Errorf("the racer made %d swaps in %d runs", swaps.Load(), n)
	}
}

// linkBeside makes a link next to name and returns its path.
func linkBeside(t testing.TB, name, target string) string {
	t.Helper()
	link := name + ".other"
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	return link
}

// climb is a relative link's text that leads to an absolute host path.
func climb(path string) string { return strings.Repeat("../", 16) + path[1:] }

func TestCVE2019_19921_RaceOnProc(t *testing.T) {
	t.Parallel()
	// The mount goes along with the folder that the racer moves on, so the script
	// looks for it under both names, and then stays in it.
	const realProcSomewhere = `
for i in $(seq 500); do
	for p in /proc /proc.other; do cd $p && [ "$(stat -f -c %t .)" = 9fa0 ] && break 2; done
done
[ "$(stat -f -c %t .)" = 9fa0 ] || { echo no procfs; cat /proc.other/self/mountinfo; exit 77; }
[ "$(cat timer_list 2>/dev/null | wc -c)" = 0 ] || { echo not masked; cat self/mountinfo; exit 77; }
(echo x >sys/kernel/domainname) 2>/dev/null && { echo not read-only; cat self/mountinfo; exit 77; }
cat self/mountinfo
`
	b := newBundle(t, sh(realProcSomewhere), maskedProc, func(s *specs.Spec) {
		s.Linux.Sysctl = map[string]string{"kernel.msgmax": "12321"}
	})
	c := b.newCanary()
	for _, name := range []string{"self/attr/exec", "sys/kernel/msgmax", "sys/kernel/domainname", "timer_list"} {
		writeText(t, b.rootfs("fake", name), "fake\n")
	}
	c.race(swap(t, b.rootfs("proc"), linkBeside(t, b.rootfs("proc"), "fake")))
	if got := readText(t, b.rootfs("fake/sys/kernel/msgmax")); got != "fake\n" {
		t.Errorf("a sysctl was written to the image: %q", got)
	}
}

func TestCVE2021_30465_RaceOnDestinations(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"folder", "file", "nested", "climbing"} {
		t.Run(kind, func(t *testing.T) {
			b := newBundle(t, sh("cat /proc/self/mountinfo"))
			c := b.newCanary()
			vol := b.path("vol")
			if err := os.MkdirAll(vol+"/sub/deep", 0o755); err != nil {
				t.Fatal(err)
			}
			// As in the fault: a volume first, then destinations inside it.
			bindMount(vol, "/vol", "rw")(b.spec)
			writeText(t, vol+"/file", "")
			source := b.path("source")
			writeText(t, source, "source\n")
			var name, target string
			switch kind {
			case "folder":
				name, target = vol+"/sub", c.dir
				tmpfsMount("/vol/sub")(b.spec)
			case "climbing":
				name, target = vol+"/sub", climb(c.dir)
				bindMount(b.path(""), "/vol/sub")(b.spec)
			case "file":
				name, target = vol+"/file", c.path("file")
				bindMount(source, "/vol/file")(b.spec)
			case "nested":
				name, target = vol+"/sub", climb(c.dir)
				tmpfsMount("/vol/sub/inner")(b.spec)
				tmpfsMount("/vol/sub/empty/new")(b.spec)
			}
			b.writeSpec()
			c.race(swap(t, name, linkBeside(t, name, target)))
		})
	}
}

func TestCVE2024_45310_RaceOnParents(t *testing.T) {
	t.Parallel()
	for kind, target := range map[string]func(*canary) string{
		"absolute": func(c *canary) string { return c.path("empty") },
		"climbing": func(c *canary) string { return climb(c.path("empty")) },
	} {
		t.Run(kind, func(t *testing.T) {
			b := newBundle(t, sh("cat /proc/self/mountinfo"))
			c := b.newCanary()
			vol, source := b.path("vol"), writeText(t, b.path("source"), "source\n")
			if err := os.MkdirAll(vol+"/a/b", 0o755); err != nil {
				t.Fatal(err)
			}
			bindMount(vol, "/vol", "rw")(b.spec)
			bindMount(source, "/vol/a/b/c/d/e/file")(b.spec)
			tmpfsMount("/vol/a/b/x/y/z")(b.spec)
			b.writeSpec()
			swap(t, vol+"/a/b", linkBeside(t, b.path("again"), target(c)))
			swaps := swap(t, vol+"/a", linkBeside(t, vol+"/a", target(c)))
			c.race(swaps)
		})
	}
}

func TestCVE2025_31133_RaceOnNull(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh(`[ "$(cat /etc/secret | wc -c)" = 0 ] && [ "$(stat -c %t:%T /etc/secret)" = 1:3 ] || { stat /etc/secret; exit 77; }
cat /proc/self/mountinfo`), withoutMount("/dev"), func(s *specs.Spec) { s.Linux.MaskedPaths = []string{"/etc/secret"} })
	c := b.newCanary()
	writeText(t, b.rootfs("etc/secret"), "secret\n")
	if err := unix.Mknod(b.rootfs("dev/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
		t.Fatal(err)
	}
	c.race(swap(t, b.rootfs("dev/null"), linkBeside(t, b.rootfs("dev/null"), climb(c.path("null")))))
}

func TestCVE2025_52565_RaceOnConsole(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"console", "ptmx", "pts"} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, sh(realConsole), terminal, withoutMount("/dev"), tmpfsMount("/tmp"))
			mount(specs.Mount{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"newinstance", "ptmxmode=0666"}})(b.spec)
			b.writeSpec()
			c := b.newCanary()
			node := b.rootfs("dev", name)
			var err error
			if name == "pts" {
				err = os.Mkdir(node, 0o755)
			} else {
				err = os.WriteFile(node, nil, 0o666)
			}
			if err != nil {
				t.Fatal(err)
			}
			c.race(swap(t, node, linkBeside(t, node, climb(c.path(name)))), append(b.terminals(), "--detach")...)
		})
	}
}

func TestCVE2026_41579_RaceOnDev(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("cat /proc/self/mountinfo"), withoutMount("/dev"), extraDevices)
	c := b.newCanary()
	c.race(swap(t, b.rootfs("dev"), linkBeside(t, b.rootfs("dev"), climb(c.dir))))
}
