package libcontainer_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/libcontainer"
	"github.com/hutch-project/hutch/tests/criutest"
	"github.com/hutch-project/hutch/tests/isolate"
	"github.com/hutch-project/hutch/tests/testneed"
	"github.com/hutch-project/hutch/tests/testplain"
	"github.com/hutch-project/hutch/tests/testwait"
)

// TestMain has a mount namespace of its own. Examples run containers, so that they need
// root as well.
func TestMain(m *testing.M) {
	criutest.Main()
	if os.Geteuid() != 0 {
		flag.Parse()
		if err := flag.Set("test.skip", "^Example"); err != nil {
			panic(err)
		}
		testplain.Main(m)
	}
	if code, first := isolate.Mounts(); first {
		os.Exit(code)
	}
	if err := libcontainer.Protect(os.Args, os.Environ()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// world is a runtime with a state directory and a root file system of its own. At its end it
// holds that nothing is left.
type world struct {
	t      testing.TB
	r      *libcontainer.Runtime
	bundle string
	warned atomic.Pointer[string]
}

func newWorld(t testing.TB) *world {
	t.Helper()
	testneed.Root(t)
	dir := t.TempDir()
	w := &world{t: t, bundle: filepath.Join(dir, "bundle")}
	w.r = &libcontainer.Runtime{Root: filepath.Join(dir, "state"), Warn: func(text string) { w.warned.Store(&text) }}
	makeRootfs(t, w.bundle)
	fds, routines := openFds(t), stacks()
	t.Cleanup(func() {
		if text := w.warned.Load(); text != nil {
			t.Errorf("warning: %s", *text)
		}
		if entries, _ := os.ReadDir(w.r.Root); len(entries) > 0 {
			t.Errorf("left in the state directory: %v", entries)
		}
		if left := children(t); len(left) > 0 {
			t.Errorf("processes are left: %q", left)
		}
		testwait.Poll(t, func() string { return fmt.Sprintf("goroutines end, of\n%s", stacks()) },
			func() bool { return count(stacks()) <= count(routines) })
		if now := openFds(t); now != fds {
			t.Errorf("descriptors: before\n%s\nafter\n%s", fds, now)
		}
	})
	return w
}

func makeRootfs(t testing.TB, bundle string) {
	t.Helper()
	bin := filepath.Join(bundle, "rootfs", "bin")
	must(t, os.MkdirAll(bin, 0o755))
	for _, dir := range [...]string{"proc", "dev", "sys", "tmp"} {
		must(t, os.Mkdir(filepath.Join(bundle, "rootfs", dir), 0o755))
	}
	busybox, err := os.ReadFile("/bin/busybox")
	must(t, err)
	for _, name := range [...]string{"sh", "sleep", "cat", "kill"} {
		must(t, os.WriteFile(filepath.Join(bin, name), busybox, 0o755))
	}
}

// shell is a specification that runs a script.
func shell(script string) *specs.Spec {
	s := libcontainer.DefaultSpec(false)
	s.Process.Terminal, s.Process.Args = false, []string{"/bin/sh", "-c", script}
	s.Process.Env = []string{"PATH=/bin"}
	return s
}

// options are those of a container that runs a script.
func (w *world) options(script string) *libcontainer.CreateOptions {
	return &libcontainer.CreateOptions{ID: testplain.Unique("api"), Bundle: w.bundle, Spec: shell(script)}
}

// start makes a container that runs a script, for the time of the test.
func (w *world) start(script string) *libcontainer.Container {
	w.t.Helper()
	c := w.create(w.options(script))
	must(w.t, c.Start(ctx))
	return c
}

func (w *world) create(o *libcontainer.CreateOptions) *libcontainer.Container {
	w.t.Helper()
	c, err := w.r.Create(ctx, o)
	must(w.t, err)
	w.t.Cleanup(func() { must(w.t, c.Delete(ctx, true)) })
	return c
}

// wait waits for a process at most as long as tests wait.
func (w *world) wait(p interface {
	Wait(context.Context) (libcontainer.ExitStatus, error)
}) libcontainer.ExitStatus {
	w.t.Helper()
	status, err := p.Wait(testwait.Context(w.t))
	must(w.t, err)
	return status
}

var ctx = context.Background()

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// openFds lists the open descriptors with what they are, but for those of Go's poller and
// of the list itself.
func openFds(t testing.TB) string {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	var out strings.Builder
	for _, n := range names {
		target, err := os.Readlink("/proc/self/fd/" + n.Name())
		if err != nil || strings.HasPrefix(target, "anon_inode:[event") || strings.HasPrefix(target, "/proc/") {
			continue
		}
		fmt.Fprintln(&out, n.Name(), target)
	}
	return out.String()
}

// children lists the child processes, zombies too.
func children(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	must(t, err)
	var out []string
	for _, e := range entries {
		text, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(f) > 1 && f[1] == strconv.Itoa(unix.Getpid()) {
			out = append(out, e.Name()+" "+f[0])
		}
	}
	return out
}
