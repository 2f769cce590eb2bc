package integration

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// terminals receives a container's terminal at a console socket and returns
// the flag for create.
func (b *bundle) terminals() []string {
	b.t.Helper()
	path := b.path("console.sock")
	os.Remove(path)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		b.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.AcceptUnix()
			if err != nil {
				return
			}
			text, oob := make([]byte, 4096), make([]byte, 256)
			_, n, _, _, err := conn.ReadMsgUnix(text, oob)
			conn.Close()
			if err != nil {
				continue
			}
			list, err := unix.ParseSocketControlMessage(oob[:n])
			if err != nil || len(list) == 0 {
				continue
			}
			if fds, err := unix.ParseUnixRights(&list[0]); err == nil && len(fds) > 0 {
				ptmx := os.NewFile(uintptr(fds[0]), "terminal")
				go func() { io.Copy(io.Discard, ptmx); ptmx.Close() }()
			}
		}
	}()
	b.t.Cleanup(func() { l.Close(); <-done })
	return []string{"--console-socket", path}
}

// realConsole is a script for a container with a terminal: the console is its
// own terminal, a pseudo terminal. What it saw is left in /tmp/seen.
const realConsole = `
exec 2>/tmp/seen
set -x
[ "$(stat -L -c %t /proc/self/fd/0)" = 88 ] || exit 77
[ "$(stat -f -L -c %t /proc/self/fd/0)" = 1cd1 ] || exit 77
[ ! -e /dev/console ] || [ "$(stat -L -c %t:%T /dev/console)" = "$(stat -L -c %t:%T /proc/self/fd/0)" ] || exit 77
exit 0
`

// seen adds what a script left in /tmp/seen to a failed test.
func (b *bundle) seen() {
	if data, err := os.ReadFile(b.rootfs("tmp/seen")); err == nil && b.t.Failed() {
		b.t.Logf("seen by the container:\n%s", data)
	}
}

var extraDevices = edit(func(s *specs.Spec) {
	s.Linux.Devices = []specs.LinuxDevice{
		{Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229, FileMode: ptr(os.FileMode(0o666)), UID: ptr(uint32(7)), GID: ptr(uint32(8))},
		{Path: "/dev/pts/node", Type: "c", Major: 1, Minor: 3, FileMode: ptr(os.FileMode(0o666)), UID: ptr(uint32(7)), GID: ptr(uint32(8))},
		{Path: "/dev/owned", Type: "p", FileMode: ptr(os.FileMode(0o666)), UID: ptr(uint32(7)), GID: ptr(uint32(8))},
	}
})

func TestCVE2026_41579_DevIsLink(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"absolute", "climbing", "bound"} {
		for _, devices := range []bool{false, true} {
			for _, tty := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s devices=%v terminal=%v", target, devices, tty), func(t *testing.T) {
					b := newBundle(t, args("/bin/true"), withoutMount("/dev"), func(s *specs.Spec) { s.Process.Terminal = tty })
					c := b.newCanary()
					switch target {
					case "absolute":
						b.replace("dev", c.dir)
					case "climbing":
						b.replace("dev", "../../../../../../../../.."+c.dir)
					case "bound":
						// The link leads to a host folder that the configuration shows
						// read-only.
						b.replace("dev", "/vol")
						bindMount(c.dir, "/vol", "ro")(b.spec)
					}
					if devices {
						extraDevices(b.spec)
					}
					b.writeSpec()
					var flags []string
					if tty {
						flags = b.terminals()
					}
					c.mustHold(flags...)
				})
			}
		}
	}
}

func TestCVE2026_88264_ConsoleIsLink(t *testing.T) {
	t.Parallel()
	for _, readonly := range []bool{false, true} {
		for _, target := range []string{"absolute", "climbing", "new file", "bound"} {
			t.Run(fmt.Sprintf("%s readonly=%v", target, readonly), func(t *testing.T) {
				b := newBundle(t, sh(realConsole), terminal, withoutMount("/dev"), tmpfsMount("/tmp"))
				mount(specs.Mount{Destination: "/dev/pts", Type: "devpts", Source: "devpts",
					Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}})(b.spec)
				b.spec.Root.Readonly = readonly
				c := b.newCanary()
				links := map[string]string{
					"absolute": c.path("console"), "climbing": "../../../../../../../../.." + c.path("console"),
					"new file": c.path("empty/made"), "bound": "/vol/console",
				}
				if target == "bound" {
					bindMount(c.dir, "/vol")(b.spec)
				}
				b.replace("dev/console", links[target])
				b.writeSpec()
				c.mustHold(b.terminals()...)
			})
		}
	}
}

func TestCVE2025_52565_ConsoleAndPts(t *testing.T) {
	t.Parallel()
	for name, lay := range map[string]func(*bundle, *canary){
		"pts is a bound folder": func(b *bundle, c *canary) {
			withoutMount("/dev/pts")(b.spec)
			bindMount(c.path("pts"), "/dev/pts", "rw")(b.spec)
		},
		"pts is bound over devpts": func(b *bundle, c *canary) { bindMount(c.path("pts"), "/dev/pts", "rw")(b.spec) },
		"pts/0 is bound":           func(b *bundle, c *canary) { bindMount(c.path("pts/0"), "/dev/pts/0", "rw")(b.spec) },
		"ptmx is bound":            func(b *bundle, c *canary) { bindMount(c.path("ptmx"), "/dev/ptmx", "rw")(b.spec) },
		"pts/ptmx is bound":        func(b *bundle, c *canary) { bindMount(c.path("ptmx"), "/dev/pts/ptmx", "rw")(b.spec) },
		"console is bound":         func(b *bundle, c *canary) { bindMount(c.path("console"), "/dev/console", "rw")(b.spec) },
		"dev is bound":             func(b *bundle, c *canary) { withoutMount("/dev")(b.spec); bindMount(c.dir, "/dev", "ro")(b.spec) },
		"pts is a link": func(b *bundle, c *canary) {
			withoutMount("/dev")(b.spec)
			b.replace("dev/pts", c.path("pts"))
		},
		"ptmx is a link": func(b *bundle, c *canary) {
			withoutMount("/dev")(b.spec)
			b.replace("dev/ptmx", c.path("ptmx"))
		},
		"console is a fifo": func(b *bundle, c *canary) {
			withoutMount("/dev")(b.spec)
			if err := unix.Mkfifo(b.rootfs("dev/console"), 0o666); err != nil {
				b.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, args("/bin/probe", "tty"), terminal)
			c := b.newCanary()
			lay(b, c)
			b.writeSpec()
			// Where the configuration itself hides the terminal the container
			// sees the bound file; what counts is what stays of that file.
			if res, ran := c.attempt(b.terminals()...); ran {
				t.Logf("ran, exit code %d", res.code)
			} else {
				t.Logf("refused: %s", strings.TrimSpace(res.stderr))
			}
		})
	}
	for _, name := range []string{"fresh", "without /dev"} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, sh(realConsole), terminal)
			if name != "fresh" {
				withoutMount("/dev")(b.spec)
				mount(specs.Mount{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"newinstance", "ptmxmode=0666"}})(b.spec)
				b.writeSpec()
			}
			c := b.newCanary()
			if _, ran := c.mustHold(b.terminals()...); !ran {
				t.Error("an ordinary container with a terminal was refused")
			}
			b.seen()
		})
	}
}

// nullKinds are what an image has for /dev/null.
func nullKinds(b *bundle, c *canary) map[string]func() error {
	null := b.rootfs("dev/null")
	return map[string]func() error{
		"absent":       func() error { return nil },
		"regular":      func() error { return os.WriteFile(null, []byte("not empty\n"), 0o666) },
		"folder":       func() error { return os.Mkdir(null, 0o777) },
		"link out":     func() error { return os.Symlink(c.path("null"), null) },
		"link climbs":  func() error { return os.Symlink("../../../../../../../../.."+c.path("null"), null) },
		"link to bind": func() error { return os.Symlink("/bound", null) },
		"link inside":  func() error { return os.Symlink("/etc/passwd", null) },
		"fifo":         func() error { return unix.Mkfifo(null, 0o666) },
		"zero":         func() error { return unix.Mknod(null, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) },
		"block":        func() error { return unix.Mknod(null, unix.S_IFBLK|0o666, int(unix.Mkdev(7, 250))) },
	}
}

func TestCVE2025_31133_MaskByContainersNull(t *testing.T) {
	t.Parallel()
	const masks = `
for f in /etc/secret /proc/timer_list; do
	[ -e $f ] || continue
	[ "$(stat -c %t:%T $f)" = 1:3 ] || { stat $f; exit 77; }
	[ "$(cat $f | wc -c)" = 0 ] || { echo $f can be read; exit 77; }
	(echo x >>$f) 2>/dev/null
done; exit 0`
	for _, dev := range []bool{false, true} {
		for kind := range nullKinds(&bundle{}, &canary{}) {
			t.Run(fmt.Sprintf("%s dev=%v", kind, dev), func(t *testing.T) {
				b := newBundle(t, sh(masks), func(s *specs.Spec) {
					s.Linux.MaskedPaths = []string{"/proc/timer_list", "/etc/secret"}
				})
				c := b.newCanary()
				writeText(t, b.rootfs("etc/secret"), "secret\n")
				if !dev {
					withoutMount("/dev")(b.spec)
				}
				bindMount(c.path("null"), "/bound", "rw")(b.spec)
				b.writeSpec()
				if err := nullKinds(b, c)[kind](); err != nil {
					t.Fatal(err)
				}
				c.mustHold()
				if got := readText(t, b.rootfs("etc/secret")); got != "secret\n" {
					t.Errorf("the masked file is now %q", got)
				}
			})
		}
	}
}

func TestCVE2026_88265_NullIsBoundFile(t *testing.T) {
	t.Parallel()
	for kind := range nullKinds(&bundle{}, &canary{}) {
		t.Run(kind, func(t *testing.T) {
			b := newBundle(t, sh(`for n in 0 1 2; do stat -L -c "%F %u" /proc/self/fd/$n; done >/proc/self/fd/1`),
				withoutMount("/dev"), func(s *specs.Spec) { s.Process.User = specs.User{UID: 1000, GID: 1000} })
			c := b.newCanary()
			bindMount(c.path("null"), "/bound", "rw")(b.spec)
			b.writeSpec()
			if err := nullKinds(b, c)[kind](); err != nil {
				t.Fatal(err)
			}
			// Pipes as standard streams, and no standard input.
			create := b.createCall()
			for _, p := range []*string{&create.stdout, &create.stderr} {
				name := b.path(fmt.Sprintf("pipe%p", p))
				if err := unix.Mkfifo(name, 0o600); err != nil {
					t.Fatal(err)
				}
				*p = name
			}
			pipe, err := os.OpenFile(create.stdout, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer pipe.Close()
			unread, err := os.OpenFile(create.stderr, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unread.Close()
			res := nonBlockingLife(c, create, pipe, unread)
			if strings.Contains(res, "regular") {
				t.Errorf("a standard stream is a file:\n%s", res)
			}
		})
	}
}

// nonBlockingLife runs the container and returns what it wrote to the pipe.
// The harness reads a command's output files to their end, which a pipe that
// is held open does not have: so the runtime is called without it.
func nonBlockingLife(c *canary, create call, out, errOut *os.File) string {
	b := c.b
	b.t.Helper()
	proc, err := os.StartProcess(runtimePath, slices.Concat([]string{runtimePath}, runtimeFlags, []string{"--root", create.root}, create.args),
		&os.ProcAttr{Files: []*os.File{nil, out, errOut}})
	if err != nil {
		b.t.Fatal(err)
	}
	status, err := proc.Wait()
	if err != nil {
		b.t.Fatal(err)
	}
	c.check("create")
	if status.ExitCode() != 0 {
		text := readNow(errOut)
		if status.ExitCode() != 1 || text == "" {
			b.t.Errorf("exit code %d, %q", status.ExitCode(), text)
		}
		b.t.Logf("refused: %s", strings.TrimSpace(text))
		b.nothingLeft()
		return ""
	}
	b.readPid()
	b.onlyConfiguredMounts(readText(b.t, fmt.Sprintf("/proc/%d/mountinfo", b.pid)))
	b.start()
	c.check("start")
	code := b.wait()
	b.delete()
	c.check("delete")
	text := readNow(out)
	if code != 0 {
		b.t.Errorf("exit code %d\n%s\n%s", code, text, readNow(errOut))
	}
	return text
}

// readNow takes what a pipe holds.
func readNow(f *os.File) string {
	fd := int(f.Fd()) // makes it blocking: call it once
	unix.SetNonblock(fd, true)
	buf := make([]byte, 65536)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return ""
	}
	return string(buf[:n])
}
