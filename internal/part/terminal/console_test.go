package terminal

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testpty"
	"github.com/hutch-project/hutch/tests/testwait"
)

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func TestSendFd(t *testing.T) {
	base := t.TempDir()
	long := filepath.Join(base, strings.Repeat("d", 120))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, dir string }{{"short path", base}, {"path of more than 108 bytes", long}} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(c.dir, "s")
			l, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(l)
			dir, err := os.Open(c.dir)
			if err != nil {
				t.Fatal(err)
			}
			defer dir.Close()
			if err := unix.Bind(l, &unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d/s", dir.Fd())}); err != nil {
				t.Fatal(err)
			}
			if err := unix.Listen(l, 1); err != nil {
				t.Fatal(err)
			}
			r, w := pipe(t)
			// Nobody has accepted yet, as with engines that do so later.
			if err := SendFd(path, int(w.Fd()), "/dev/pts/0"); err != nil {
				t.Fatal(err)
			}
			s, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(s)
			fd, payload, err := receiveFd(s)
			if err != nil || payload != "/dev/pts/0" {
				t.Fatalf("got %q, %v", payload, err)
			}
			w.Close()
			if _, err := unix.Write(fd, []byte("x")); err != nil {
				t.Error(err)
			}
			unix.Close(fd)
			if got, err := io.ReadAll(r); err != nil || string(got) != "x" {
				t.Errorf("the descriptor is another: read %q, %v", got, err)
			}
			if n, err := unix.Read(s, make([]byte, 8)); n != 0 || err != nil {
				t.Errorf("the connection is not closed: %d, %v", n, err)
			}
		})
	}
}

func TestSendFdErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	absent, file := filepath.Join(dir, "absent"), filepath.Join(dir, "file")
	for _, c := range []struct{ name, path, payload, want string }{
		{"absent", absent, "x", "connect to " + absent + ": no such file or directory"},
		{"long and absent", dir + strings.Repeat("/x", 100), "x", "no such file or directory"},
		{"no socket", file, "x", "connect to " + file + ": connection refused"},
		{"no path", "", "x", "the path is empty"},
		{"no payload", file, "", "0 bytes is not of 1 to 65535"},
		{"large payload", file, strings.Repeat("x", 1<<16), "65536 bytes is not of 1 to 65535"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := SendFd(c.path, 0, c.payload); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestProxyDrainsOutputAfterTheEnd(t *testing.T) {
	ptmx, tty := testpty.Open(t)
	r, w := pipe(t)
	in, _ := pipe(t)
	p, err := startProxy(ptmx, int(in.Fd()), int(w.Fd()), -1)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	var got bytes.Buffer
	read := make(chan error)
	go func() { _, err := io.Copy(&got, r); read <- err }()
	want := strings.Repeat("0123456789abcde\n", 20000)
	cmd := exec.Command("/bin/sh", "-c", "i=0; while read l; do echo $l; done")
	cmd.Stdin, cmd.Stdout = strings.NewReader(want), tty
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	// tty is still open, as by a process that outlives the container's.
	p.Finish()
	p.Stop()
	w.Close()
	if err := <-read; err != nil || got.String() != want {
		t.Errorf("got %d bytes, %v; want %d", got.Len(), err, len(want))
	}
}

// TestProxyEndsBesideAWriter: a process that the container's has left its terminal to, and that
// fills it whenever there is room, does not keep the runtime with its output.
func TestProxyEndsBesideAWriter(t *testing.T) {
	ptmx, tty := testpty.Open(t)
	r, w := pipe(t)
	in, _ := pipe(t)
	// Of a page, so that the terminal is never empty while the output takes what comes.
	if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, os.Getpagesize()); err != nil {
		t.Fatal(err)
	}
	p, err := startProxy(ptmx, int(in.Fd()), int(w.Fd()), -1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	t.Cleanup(func() { r.Close() })        // before it: a writer has nobody to wait for then
	own, out := int(tty.Fd()), int(r.Fd()) // once: each call has the file block
	for _, fd := range [...]int{own, out} {
		if err := unix.SetNonblock(fd, true); err != nil {
			t.Fatal(err)
		}
	}
	fill := func() {
		for err := error(nil); err == nil; {
			_, err = unix.Write(own, bytes.Repeat([]byte("x"), 4096))
		}
	}
	fill()
	finished := make(chan bool)
	go func() { p.Finish(); close(finished) }()
	for buf, got := make([]byte, os.Getpagesize()), 0; ; {
		select {
		case <-finished:
			return
		default:
		}
		fill()
		if n, _ := unix.Read(out, buf); n > 0 {
			got += n
		}
		if got > 4*maxLeft {
			t.Fatalf("it goes on after %d bytes", got)
		}
	}
}

func TestProxyEndsWithTheTerminal(t *testing.T) {
	ptmx, tty := testpty.Open(t)
	r, w := pipe(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	p, err := startProxy(ptmx, int(null.Fd()), int(w.Fd()), -1) // standard input absent
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	if _, err := tty.WriteString("last words\n"); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	p.output.Wait() // by EIO, without Finish
	w.Close()
	if got, err := io.ReadAll(r); string(got) != "last words\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestProxyUsesItsOwnTerminal(t *testing.T) {
	ptmx, tty := testpty.Open(t) // the container's
	user, own := testpty.Open(t) // the runtime's: user is where somebody types
	ownFd, ttyFd := int(own.Fd()), int(tty.Fd())
	before, err := unix.IoctlGetTermios(ownFd, unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	size := &unix.Winsize{Row: 33, Col: 111}
	if err := unix.IoctlSetWinsize(ownFd, unix.TIOCSWINSZ, size); err != nil {
		t.Fatal(err)
	}
	dup, err := unix.FcntlInt(uintptr(ownFd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	p, err := startProxy(ptmx, ownFd, ownFd, dup)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	if w, err := unix.IoctlGetWinsize(ttyFd, unix.TIOCGWINSZ); err != nil || *w != *size {
		t.Errorf("size at the start: got %+v, %v, want %+v", w, err, size)
	}
	if m, err := unix.IoctlGetTermios(ownFd, unix.TCGETS); err != nil || m.Lflag&(unix.ECHO|unix.ICANON|unix.ISIG) != 0 {
		t.Errorf("own terminal is not raw: %+v, %v", m, err)
	}

	// ^C is a byte for the container's terminal; its line comes after it.
	if _, err := user.WriteString("hello\r"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(tty).ReadString('\n'); line != "hello\n" {
		t.Errorf("the container read %q, %v", line, err)
	}
	echo := make([]byte, 64)
	n, err := user.Read(echo)
	if err != nil || !strings.HasPrefix(string(echo[:n]), "hello") {
		t.Errorf("the user saw %q, %v", echo[:n], err)
	}

	size = &unix.Winsize{Row: 20, Col: 40}
	if err := unix.IoctlSetWinsize(ownFd, unix.TIOCSWINSZ, size); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(os.Getpid(), unix.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, fmt.Sprintf("the size %+v after SIGWINCH", *size), func() bool {
		w, err := unix.IoctlGetWinsize(ttyFd, unix.TIOCGWINSZ)
		return err == nil && *w == *size
	})

	p.Stop()
	p.Stop()
	after, err := unix.IoctlGetTermios(ownFd, unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("own terminal after Stop: got %+v, %v, want %+v", after, err, before)
	}
	if _, err := unix.FcntlInt(uintptr(dup), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("the terminal's descriptor is left open: %v", err)
	}
}

func TestProxyStopsWhenNobodyReads(t *testing.T) {
	ptmx, _ := testpty.Open(t)
	in, typed := pipe(t)
	pipe := int32(typed.Fd())
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // for the echo
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	p, err := startProxy(ptmx, int(in.Fd()), int(null.Fd()), -1)
	if err != nil {
		t.Fatal(err)
	}
	// Nobody reads from the terminal, whose queue has 64 KiB, sometimes more.
	go func() {
		var err error
		for err == nil {
			_, err = typed.Write(bytes.Repeat([]byte("x\n"), 30000))
		}
	}()
	testwait.Until(t, "the terminal and the pipe take no more", func() bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: pipe, Events: unix.POLLOUT}}, 0)
		return n == 0 && err == nil
	})
	stopped := make(chan bool)
	go func() { p.Stop(); close(stopped) }()
	testwait.Value(t, "the end of Stop", stopped)
}

func TestProxyKeepsReadingWhenTheOutputIsClosed(t *testing.T) {
	ptmx, tty := testpty.Open(t)
	in, _ := pipe(t)
	out, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0) // not writable: EBADF
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(out)
	p, err := startProxy(ptmx, int(in.Fd()), out, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	cmd := exec.Command("/bin/sh", "-c", "yes | head -c 200000")
	cmd.Stdout = tty
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := testwait.Command(t, cmd); err != nil { // it hangs on a full terminal
		t.Error(err)
	}
}

func TestNilProxy(t *testing.T) {
	var p *Proxy
	p.Finish()
	p.Stop()
}

func TestForward(t *testing.T) {
	t.Run("alone", func(t *testing.T) { testForward(t, true) })
	t.Run("with os/signal", func(t *testing.T) { testForward(t, false) })
	t.Run("alone again", func(t *testing.T) { testForward(t, true) })
}

func testForward(t *testing.T, alone bool) {
	f := Forward(alone)
	late := make(chan bool)
	f.late = func() { close(late) }
	f.Ready()
	// Sent before the container is there.
	if err := unix.Kill(os.Getpid(), unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", "for s in USR1 TERM INT TSTP HUP XCPU; do trap \"echo $s\" $s 2>/dev/null; done; trap 'echo ALRM; exit' ALRM; echo ready; while :; do sleep 0.01; done")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, PidFD: new(int)}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); unix.Close(*cmd.SysProcAttr.PidFD) }()
	lines := make(chan string, 64)
	go func() {
		defer close(lines)
		for all := bufio.NewScanner(out); all.Scan(); {
			lines <- all.Text()
		}
	}()
	expect := func(want string) {
		t.Helper()
		if got := testwait.Value(t, "the container says "+want, lines); got != want {
			t.Fatalf("the container said %q, want %q", got, want)
		}
	}
	expect("ready")
	ended := make(chan error)
	go func() { ended <- f.Wait(*cmd.SysProcAttr.PidFD) }()
	expect("INT")
	testwait.Value(t, "the less usual signals are caught", late)
	for _, s := range []struct {
		name string
		n    syscall.Signal
	}{{"TERM", unix.SIGTERM}, {"USR1", unix.SIGUSR1}, {"TSTP", unix.SIGTSTP}, {"HUP", unix.SIGHUP}, {"XCPU", unix.SIGXCPU}, {"ALRM", unix.SIGALRM}} {
		if err := unix.Kill(os.Getpid(), s.n); err != nil {
			t.Fatal(err)
		}
		expect(s.name)
	}
	if err := testwait.Value(t, "the end of Wait", ended); err != nil {
		t.Fatal(err)
	}
	f.Stop()
}

func TestForwardLeavesSomeSignals(t *testing.T) {
	got := others()
	for _, s := range usual {
		got = append(got, s)
	}
	for _, s := range []syscall.Signal{unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD, unix.SIGURG, unix.SIGWINCH, unix.SIGTTIN, unix.SIGTTOU} {
		if slices.Contains(got, os.Signal(s)) {
			t.Errorf("%v is forwarded", s)
		}
	}
	if len(got) != 64-10 {
		t.Errorf("got %d signals, want %d", len(got), 64-10)
	}
}

func TestNilForwarderWaits(t *testing.T) {
	cmd := exec.Command("true")
	cmd.SysProcAttr = &syscall.SysProcAttr{PidFD: new(int)}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(*cmd.SysProcAttr.PidFD)
	var f *Forwarder
	if err := f.Wait(*cmd.SysProcAttr.PidFD); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	f.Stop()
}

// receiveFd takes what SendFd sends from the accepted connection s. The caller
// owns the descriptor, which is close-on-exec.
func receiveFd(s int) (fd int, payload string, err error) {
	buf, oob := make([]byte, maxPayload+1), make([]byte, unix.CmsgSpace(4*8))
	n, oobn, flags, _, err := unix.Recvmsg(s, buf, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, "", fmt.Errorf("recvmsg: %w", err)
	}
	cmsgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return -1, "", fmt.Errorf("control message: %w", err)
	}
	var fds []int
	for i := range cmsgs {
		if got, err := unix.ParseUnixRights(&cmsgs[i]); err == nil {
			fds = append(fds, got...)
		}
	}
	if len(fds) != 1 || len(cmsgs) != 1 || flags&unix.MSG_CTRUNC != 0 {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return -1, "", fmt.Errorf("%d control messages with %d descriptors, want one of each", len(cmsgs), len(fds))
	}
	return fds[0], string(buf[:n]), nil
}
