package rootfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/terminal"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/tests/isolate"
	"github.com/hutch-project/hutch/tests/testneed"
	"github.com/hutch-project/hutch/tests/testplain"
)

// The tests that mount run in a mount namespace of their own, whose mounts are
// shared as on most hosts, so that what leaks out is seen.

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		testplain.Main(m)
	}
	if code, first := isolate.Mounts(); first {
		os.Exit(code)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		fmt.Fprintln(os.Stderr, "make the mounts shared:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const busybox = "/bin/busybox"

// world is a bundle: a root file system with busybox, a configuration, and beside
// them a canary that nothing may touch.
type world struct {
	t      *testing.T
	dir    string
	c      Config
	spec   *specs.Spec
	flags  uint64 // of the clone
	term   func(ptmx int)
	idmaps bool                                    // give idmapped mounts a user namespace of the usual mapping
	before func(c *spawn.Child)                    // called before the child is answered, each time
	fault  func(p *program.Program) *program.Fault // what is to fail
	late   func(b *program.Builder, r *Root)       // emits more, before Pivot
	calls  map[string]int                          // system calls of the child, by what they are for
	total  int
}

func newWorld(t *testing.T, mounts ...specs.Mount) *world {
	t.Helper()
	testneed.Root(t, "mounts")
	w := &world{t: t, dir: t.TempDir(), flags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWNET}
	must(t, os.MkdirAll(w.path("canary/dir"), 0o755))
	must(t, os.WriteFile(w.path("canary/file"), []byte("canary\n"), 0o600))
	w.layRoot()
	w.spec = &specs.Spec{
		Root: &specs.Root{}, Process: &specs.Process{}, Mounts: mounts,
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: specs.PIDNamespace}}},
	}
	w.c = Config{Spec: w.spec, Rootfs: w.path("root"), SourcesInParent: true, ParentNodes: true, NewNet: true}
	t.Cleanup(w.checkCanary)
	return w
}

// layRoot makes the image.
func (w *world) layRoot() {
	w.t.Helper()
	for _, d := range []string{"bin", "proc", "sys", "dev", "etc", "tmp"} {
		must(w.t, os.MkdirAll(w.inRoot(d), 0o755))
	}
	binary, err := exec.LookPath("busybox")
	if err != nil {
		w.t.Skip("needs a static busybox")
	}
	data, err := os.ReadFile(binary)
	must(w.t, err)
	must(w.t, os.WriteFile(w.inRoot("bin/busybox"), data, 0o755))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) inRoot(name string) string { return filepath.Join(w.dir, "root", name) }

// reachable lets the container's root come to the directory in the host's tree.
func (w *world) reachable() {
	for p := w.dir; p != filepath.Clean(os.TempDir()); p = filepath.Dir(p) {
		must(w.t, os.Chmod(p, 0o755))
	}
}

// checkCanary looks whether the canary is as it was made.
func (w *world) checkCanary() {
	var names []string
	_ = filepath.Walk(w.path("canary"), func(p string, fi os.FileInfo, err error) error {
		if err == nil {
			names = append(names, fmt.Sprintf("%s %v", strings.TrimPrefix(p, w.dir), fi.Mode()))
		}
		return nil
	})
	want := []string{"/canary drwxr-xr-x", "/canary/dir drwxr-xr-x", "/canary/file -rw-------"}
	if fmt.Sprint(names) != fmt.Sprint(want) {
		w.t.Errorf("the canary is now %v, want %v", names, want)
	}
}

// run makes the container and runs the script in it; it returns what it printed,
// or the error of the set-up.
func (w *world) run(script string) (string, error) {
	w.t.Helper()
	before := hostMounts(w.t)
	out, err := w.try(script)
	if after := hostMounts(w.t); after != before {
		w.t.Errorf("the host's mounts have changed:\n%s", diff(before, after))
	}
	return out, err
}

func (w *world) ok(script string) string {
	w.t.Helper()
	out, err := w.run(script)
	if err != nil {
		w.t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// fails runs a container that must be refused by an error with these words.
func (w *world) fails(words ...string) error {
	w.t.Helper()
	out, err := w.run("true")
	if err == nil {
		w.t.Fatalf("no error, want one with %q\n%s", words, out)
	}
	for _, s := range words {
		if !strings.Contains(err.Error(), s) {
			w.t.Errorf("%v\nwant %q in it", err, s)
		}
	}
	return err
}

const (
	born   = 1
	paused = 2
)

func (w *world) try(script string) (_ string, err error) {
	b := program.New()
	r := New(w.c)
	r.Open(b)
	user := w.flags&unix.CLONE_NEWUSER != 0
	if user {
		b.Barrier(born, 0)
		r.Relock(b)
		b.Sys(unix.SYS_SETRESGID, program.Imm(0), program.Imm(0), program.Imm(0))
		b.Sys(unix.SYS_SETRESUID, program.Imm(0), program.Imm(0), program.Imm(0))
	}
	b.Sys(unix.SYS_SETSID)
	r.Mount(b)
	if w.late != nil {
		w.late(b, r)
	}
	r.Pivot(b)
	var p [2]int
	must(w.t, unix.Pipe2(p[:], unix.O_CLOEXEC))
	f := os.NewFile(uintptr(p[0]), "pipe")
	defer f.Close()
	if w.c.Terminal {
		b := terminal.Label(b)
		ptmx, slave := terminal.Open(b, r.Fd, w.spec.Process)
		r.BindConsole(b, slave)
		terminal.Use(b, ptmx, slave)
	}
	r.Finish(b)
	b = b.Element(program.T("test")).Doing(program.T("execute"))
	if !w.c.Terminal {
		for _, fd := range []int{1, 2} {
			b.Sys(unix.SYS_DUP3, program.Imm(p[1]), program.Imm(fd), program.Imm(0))
		}
	}
	b.Sys(unix.SYS_RT_SIGPROCMASK, program.Imm(unix.SIG_SETMASK), b.Zero(8).Arg(), program.Imm(0), program.Imm(8))
	b.Sys(unix.SYS_EXECVE, b.Str(busybox), b.Strv([]string{"busybox", "sh", "-c", script}).Arg(), b.Strv([]string{"PATH=/bin"}).Arg())
	prog, err := b.Program()
	if err != nil {
		unix.Close(p[1])
		return "", err
	}
	if w.idmaps {
		ns := userNamespace(w.t)
		defer ns.Close()
		for _, m := range r.Idmaps {
			prog.Set(m.Fd, int64(ns.Fd()))
		}
	}
	var fault *program.Fault
	if w.fault != nil {
		fault = w.fault(prog)
	}
	c, err := spawn.Spawn(prog, &spawn.Options{Flags: w.flags, Cgroup: -1, Trace: true, Fault: fault})
	unix.Close(p[1])
	if err != nil {
		return "", err
	}
	defer func() { c.Kill(); c.Close() }()
	if err := w.attend(c, r); err != nil {
		return "", err
	}
	w.count(c)
	out, _ := io.ReadAll(f)
	if w.c.Terminal {
		_, err = c.Wait()
		return "", err
	}
	return string(out), nil
}

// userNamespace returns one with the mapping of the tests.
func userNamespace(t *testing.T) *os.File {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 100000, Size: 65536}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids}
	must(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	f, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", cmd.Process.Pid))
	must(t, err)
	return f
}

// attend answers the child until it has executed the script.
func (w *world) attend(c *spawn.Child, r *Root) error {
	for {
		e, err := c.Next()
		if errors.Is(err, spawn.ErrEnded) {
			return nil
		}
		if err != nil {
			return err
		}
		if w.before != nil {
			w.before(c)
		}
		switch {
		case e.Tag == born:
			for _, f := range []string{"uid_map", "gid_map"} {
				must(w.t, os.WriteFile(fmt.Sprintf("/proc/%d/%s", c.Pid, f), []byte("0 100000 65536\n"), 0))
			}
		case e.Tag == paused:
		case e.Tag == terminal.ConsoleTag:
			w.term(e.Fd)
		default:
			more, err := r.Handle(c, e)
			if err != nil {
				return err
			}
			if more {
				continue
			}
		}
		must(w.t, c.Release())
	}
}

// count sums up the system calls that the child has made for the root.
func (w *world) count(c *spawn.Child) {
	w.calls, w.total = map[string]int{}, 0
	for _, s := range c.Stamps() {
		if e := s.Note.Element.String(); s.Call != "" && e != "test" && e != "" {
			w.calls[e]++
			w.total++
		}
	}
}

func hostMounts(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	var out strings.Builder
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 5 { // without peer groups, whose numbers come and go
			fmt.Fprintln(&out, f[2], f[3], f[4], f[5])
		}
	}
	return out.String()
}

func diff(a, b string) string {
	old := map[string]bool{}
	for l := range strings.Lines(a) {
		old[l] = true
	}
	out := ""
	for l := range strings.Lines(b) {
		if !old[l] {
			out += "+ " + l
		}
		delete(old, l)
	}
	for l := range old {
		out += "- " + l
	}
	return out
}

// mounts returns the mount table of a container, by mount point: the last one.
func (w *world) mounts() map[string]string {
	w.t.Helper()
	out := w.ok("cat /proc/self/mountinfo")
	m := map[string]string{}
	for l := range strings.Lines(out) {
		if f := strings.Fields(l); len(f) > 5 {
			m[f[4]] = strings.Join(f[5:], " ")
		}
	}
	return m
}

func proc() specs.Mount { return specs.Mount{Destination: "/proc", Type: "proc", Source: "proc"} }

func dev() specs.Mount {
	return specs.Mount{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}}
}

func bind(source, dest string, options ...string) specs.Mount {
	return specs.Mount{Destination: dest, Type: "bind", Source: source, Options: append([]string{"bind"}, options...)}
}

func tmpfs(dest string, options ...string) specs.Mount {
	return specs.Mount{Destination: dest, Type: "tmpfs", Source: "tmpfs", Options: options}
}

// defaults returns the mounts of the default configuration, but for cgroups.
func defaults() []specs.Mount {
	safe := []string{"nosuid", "noexec", "nodev"}
	return []specs.Mount{
		proc(), dev(),
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: append([]string{"mode=1777", "size=65536k"}, safe...)},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: safe},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: append([]string{"ro"}, safe...)},
	}
}
