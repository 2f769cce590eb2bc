package integration

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testpty"
	"github.com/hutch-project/hutch/tests/testwait"
)

// socket is a listening socket as engines give one for a descriptor.
type socket struct {
	t        testing.TB
	path     string
	listener *net.UnixListener
}

func newSocket(t testing.TB, path string) *socket {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &socket{t, path, l}
}

// receive takes the first message of the first connection: it must carry one
// descriptor and 1 to 4095 bytes. Nothing is sent back.
//
// Source: go-runc socket.go, conmon cmsg.c.
func (s *socket) receive() (*os.File, string) {
	s.t.Helper()
	s.listener.SetDeadline(testwait.Deadline())
	conn, err := s.listener.AcceptUnix()
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(testwait.Deadline())
	payload, oob := make([]byte, 4096), make([]byte, 256)
	n, oobn, _, _, err := conn.ReadMsgUnix(payload, oob)
	if err != nil {
		s.t.Fatal(err)
	}
	if n < 1 || n > 4095 || oobn != unix.CmsgSpace(4) {
		s.t.Fatalf("%d bytes and %d of control data, want 1 to 4095 and %d", n, oobn, unix.CmsgSpace(4))
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		s.t.Fatalf("%d control messages, %v", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		s.t.Fatalf("descriptors %v, %v", fds, err)
	}
	unix.CloseOnExec(fds[0])
	unix.SetNonblock(fds[0], true)
	f := os.NewFile(uintptr(fds[0]), "received")
	s.t.Cleanup(func() { f.Close() })
	return f, string(payload[:n])
}

// screen collects what a terminal's master side gives.
type screen struct {
	sync.Mutex
	text bytes.Buffer
	file *os.File
}

func watch(f *os.File) *screen {
	s := &screen{file: f}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := f.Read(buf)
			s.Lock()
			s.text.Write(buf[:n])
			s.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

func (s *screen) String() string {
	s.Lock()
	defer s.Unlock()
	return s.text.String()
}

func (s *screen) wait(t testing.TB, text string) {
	t.Helper()
	testwait.Poll(t, func() string { return fmt.Sprintf("%q on the terminal, which shows %q", text, s) },
		func() bool { return strings.Contains(s.String(), text) })
}

func (s *screen) typeIn(t testing.TB, text string) {
	t.Helper()
	if _, err := s.file.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// createOnConsole creates a container with a terminal whose master the caller
// gets, accepting only after create has ended, as containerd and buildah do.
func createOnConsole(t *testing.T, edits ...edit) (*bundle, *screen) {
	t.Helper()
	b := newBundle(t, append([]edit{terminal}, edits...)...)
	s := newSocket(t, b.path("console"))
	b.create("--console-socket", s.path)
	master, _ := s.receive()
	return b, watch(master)
}

func TestConsoleSocket(t *testing.T) {
	t.Parallel()
	b, scr := createOnConsole(t, sh(`probe tty; test -c /dev/console && echo console; read line; echo "got $line"; stty size`))
	b.start()
	// The terminal is the container's own: of its devpts, on all three, controlling.
	scr.wait(t, "0 /dev/pts/0 0x0, 1 /dev/pts/0 0x0, 2 /dev/pts/0 0x0, controlling")
	scr.wait(t, "console")
	scr.typeIn(t, "hello\n")
	scr.wait(t, "got hello")
	if code := b.wait(); code != 0 {
		t.Errorf("exit code %d: %s", code, scr)
	}
	if out := b.output(); out != "" {
		t.Errorf("with a terminal the caller's stdout got %q", out)
	}
}

// TestConsoleSocketOfRun: a run that stays gives the terminal away as one that is detached does.
func TestConsoleSocketOfRun(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc takes a console socket of run --detach alone")
	b := newBundle(t, terminal, sh("read line; exit 7"))
	s := newSocket(t, b.path("console"))
	run := call{root: b.root, args: b.line("run", "--console-socket", s.path)}.start(t)
	master, _ := s.receive()
	watch(master).typeIn(t, "hello\n")
	if res := run.wait(); res.code != 7 || res.stdout+res.stderr != "" {
		t.Errorf("%v; want the exit code 7 and silence", res)
	}
}

func TestConsoleHoldsNothingOfTheCaller(t *testing.T) {
	t.Parallel()
	b, _ := createOnConsole(t, args("sleep", "1000"))
	for fd := range 3 {
		target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", b.pid, fd))
		if err != nil || !strings.HasPrefix(target, "/dev/pts/") && !strings.HasPrefix(target, "/pts/") && target != "/0" {
			t.Errorf("descriptor %d is %q, %v: want the terminal", fd, target, err)
		}
	}
}

func TestConsoleSize(t *testing.T) {
	t.Parallel()
	b, scr := createOnConsole(t, sh("stty size; probe tty"), func(s *specs.Spec) { s.Process.ConsoleSize = &specs.Box{Width: 123, Height: 45} })
	b.start()
	scr.wait(t, "45 123")
	scr.wait(t, "123x45")
	b.wait()
}

func TestConsoleOfUser(t *testing.T) {
	t.Parallel()
	b, scr := createOnConsole(t, sh(`probe stat /dev/pts/0; echo again >/dev/tty; echo end`), func(s *specs.Spec) {
		s.Process.User = specs.User{UID: 1000, GID: 1000}
	})
	b.start()
	scr.wait(t, "/dev/pts/0 char 0620 1000:")
	scr.wait(t, "again")
	scr.wait(t, "end")
	b.wait()
}

func TestConsoleInUserNamespace(t *testing.T) {
	t.Parallel()
	b, scr := createOnConsole(t, sh(`probe tty; probe stat /dev/pts/0; echo end`), userNamespace)
	b.start()
	scr.wait(t, "controlling")
	scr.wait(t, "end")
	b.wait()
}

func TestConsoleHangup(t *testing.T) {
	t.Parallel()
	b, scr := createOnConsole(t, sh(`trap 'exit 9' HUP; echo up; while :; do sleep 0.02; done`))
	b.start()
	scr.wait(t, "up")
	scr.file.Close()
	if code := b.wait(); code != 9 {
		t.Errorf("exit code %d, want 9: the terminal's end is a hang-up", code)
	}
}

func TestConsoleMistakes(t *testing.T) {
	t.Parallel()
	t.Run("detached without a socket", func(t *testing.T) {
		t.Parallel()
		refused(t, []string{"console"}, terminal)
	})
	t.Run("socket without a terminal", func(t *testing.T) {
		t.Parallel()
		b := newBundle(t)
		newSocket(t, b.path("console"))
		b.refuse([]string{"console"}, "--console-socket", b.path("console"))
	})
	t.Run("socket is missing", func(t *testing.T) {
		t.Parallel()
		b := newBundle(t, terminal)
		b.refuse([]string{"no such file"}, "--console-socket", b.path("missing"))
	})
	t.Run("socket is a file", func(t *testing.T) {
		t.Parallel()
		b := newBundle(t, terminal)
		b.refuse(nil, "--console-socket", writeText(t, b.path("file"), ""))
	})
}

// runOnTerminal runs the container in the foreground of a terminal.
func runOnTerminal(t *testing.T, size unix.Winsize, edits ...edit) (*running, *os.File, *screen) {
	t.Helper()
	b := newBundle(t, append([]edit{terminal}, edits...)...)
	master, slave := testpty.Open(t)
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &size); err != nil {
		t.Fatal(err)
	}
	unix.SetNonblock(int(master.Fd()), true) // Fd made it blocking
	r := call{root: b.root, args: b.line("run"), stdin: slave, stdout: slave.Name(), stderr: slave.Name(),
		attr: &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}}.start(t)
	return r, slave, watch(master)
}

func TestForegroundTerminal(t *testing.T) {
	t.Parallel()
	r, slave, scr := runOnTerminal(t, unix.Winsize{Row: 33, Col: 77}, sh(`probe tty; read line; echo "got $line"; echo ready; while [ "$(stty size)" != "44 111" ]; do sleep 0.02; done; echo resized; cat; exit 5`))
	scr.wait(t, "0 /dev/pts/0 77x33, 1 /dev/pts/0 77x33, 2 /dev/pts/0 77x33, controlling")
	scr.typeIn(t, "hello\n")
	scr.wait(t, "got hello")
	scr.wait(t, "ready")
	// A new size reaches the container by the kernel's SIGWINCH alone.
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 44, Col: 111}); err != nil {
		t.Fatal(err)
	}
	scr.wait(t, "resized")
	scr.typeIn(t, "\x04") // end of input, made by the container's own terminal
	if res := r.wait(); res.code != 5 {
		t.Errorf("exit code %d, want 5:\n%s", res.code, scr)
	}
	notRaw(t, slave)
}

// notRaw fails unless the caller's terminal is as it was: in canonical mode, echoing.
func notRaw(t *testing.T, tty *os.File) {
	t.Helper()
	attr, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil || attr.Lflag&unix.ICANON == 0 || attr.Lflag&unix.ECHO == 0 {
		t.Errorf("the terminal was left raw: %+v, %v", attr, err)
	}
}

// TestExecLeavesTheTerminalAsItWas, however the process ends, or exec fails.
func TestExecLeavesTheTerminalAsItWas(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("sleep 1000")).create().start()
	for name, c := range map[string]struct {
		args []string
		code int
	}{
		"exit":     {[]string{"sh", "-c", "exit 3"}, 3},
		"a signal": {[]string{"sh", "-c", "kill -TERM $$"}, 128 + int(unix.SIGTERM)},
		"none":     {[]string{"/none"}, 255},
	} {
		master, slave := testpty.Open(t)
		unix.SetNonblock(int(master.Fd()), true)
		r := call{root: b.root, args: append([]string{"exec", "-t", b.id}, c.args...), stdin: slave, stdout: slave.Name(), stderr: slave.Name(),
			attr: &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}}.start(t)
		scr := watch(master)
		if res := r.wait(); res.code != c.code {
			t.Errorf("%s: exit code %d, want %d: %s", name, res.code, c.code, scr)
		}
		notRaw(t, slave)
	}
}

// TestForegroundTerminalControlC: the key is for the container's terminal.
func TestForegroundTerminalControlC(t *testing.T) {
	t.Parallel()
	r, _, scr := runOnTerminal(t, unix.Winsize{Row: 24, Col: 80}, sh(`trap 'echo interrupted; exit 7' INT; echo ready; while :; do sleep 0.02; done`))
	scr.wait(t, "ready")
	scr.typeIn(t, "\x03")
	if res := r.wait(); res.code != 7 {
		t.Errorf("exit code %d, want 7: %s", res.code, scr)
	}
	scr.wait(t, "interrupted")
}

// TestForegroundTerminalLongOutput: nothing is lost at the end.
func TestForegroundTerminalLongOutput(t *testing.T) {
	t.Parallel()
	r, _, scr := runOnTerminal(t, unix.Winsize{Row: 24, Col: 80}, sh(`seq 1 20000; echo last`))
	if res := r.wait(); res.code != 0 {
		t.Errorf("exit code %d", res.code)
	}
	scr.wait(t, "\n19999\r\n20000\r\nlast\r\n")
	if n := strings.Count(scr.String(), "\n"); n != 20001 {
		t.Errorf("%d lines, want 20001", n)
	}
}

// TestRunWithoutTerminal: stdin, stdout and stderr go through.
func TestRunWithoutTerminal(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("cat; echo problem >&2; exit 4"))
	in, err := os.Open(writeText(t, b.path("in"), strings.Repeat("line\n", 50_000)))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	res := call{root: b.root, args: b.line("run"), stdin: in}.do(t)
	if res.code != 4 || len(res.stdout) != 250_000 || res.stderr != "problem\n" {
		t.Errorf("exit code %d, %d bytes, stderr %q", res.code, len(res.stdout), res.stderr)
	}
}
