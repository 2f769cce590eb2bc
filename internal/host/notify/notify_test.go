package notify

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testwait"
)

// manager is a service manager's socket. It closes the descriptors that come.
func manager(t *testing.T) (addr string, next func() string) {
	t.Helper()
	addr = filepath.Join(t.TempDir(), "m")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: addr}); err != nil {
		t.Fatal(err)
	}
	return addr, func() string {
		testwait.Readable(t, "a message to the manager", fd)
		buf, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
		n, oobn, _, _, err := unix.Recvmsg(fd, buf, oob, unix.MSG_CMSG_CLOEXEC)
		if err != nil {
			return "recvmsg: " + err.Error()
		}
		text := string(buf[:n])
		if cmsgs, err := unix.ParseSocketControlMessage(oob[:oobn]); err == nil {
			for i := range cmsgs {
				fds, _ := unix.ParseUnixRights(&cmsgs[i])
				for _, fd := range fds {
					text += " fd"
					unix.Close(fd)
				}
			}
		}
		return text
	}
}

// process starts a process and gives its pidfd.
func process(t *testing.T, args ...string) (*exec.Cmd, int) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{PidFD: new(int)}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); unix.Close(*cmd.SysProcAttr.PidFD) })
	return cmd, *cmd.SysProcAttr.PidFD
}

func listen(t *testing.T) (*Socket, string) {
	t.Helper()
	state := filepath.Join(t.TempDir(), strings.Repeat("s", 120)) // longer than an address
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	dir, err := Prepare(state, false)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Prepare(state, false); err != nil || again != dir {
		t.Fatalf("again: %v, %v", again, err)
	}
	s, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, dir
}

// say sends text as a process of the container does.
func say(t *testing.T, dir, text string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := unix.Sendto(fd, []byte(text), 0, &unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), Name)}); err != nil {
		t.Fatal(err)
	}
}

func TestRelay(t *testing.T) {
	for _, c := range []struct {
		name    string
		mainPid int
		want    []string
	}{
		{"detached", 4711, []string{"READY=1\n", "MAINPID=4711\n", "BARRIER=1 fd"}},
		{"attached", 0, []string{"READY=1\n", "BARRIER=1 fd"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			host, next := manager(t)
			s, dir := listen(t)
			st, err := os.Stat(filepath.Join(dir, Name))
			if err != nil || st.Mode().Perm() != 0o777 {
				t.Errorf("socket: %v, %v", st, err)
			}
			_, pidfd := process(t, "sleep", "1000")
			done := make(chan error)
			go func() { done <- s.Relay(host, pidfd, c.mainPid) }()
			say(t, dir, "STATUS=nearly READY=1")
			say(t, dir, "STATUS=here\nREADY=1\nX=y")
			var got []string
			for range c.want {
				got = append(got, next())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if err := testwait.Value(t, "the end of Relay", done); err != nil {
				t.Error(err)
			}
			s.Close()
			s.Close()
			if _, err := os.Stat(filepath.Join(dir, Name)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the socket is left: %v", err)
			}
		})
	}
}

func TestRelayEndsWithTheProcess(t *testing.T) {
	s, dir := listen(t)
	cmd, pidfd := process(t, "sleep", "1000")
	done := make(chan error)
	go func() { done <- s.Relay("/nowhere", pidfd, 1) }()
	say(t, dir, "STATUS=x")
	testwait.Until(t, "the first message is read", func() bool {
		n, err := unix.IoctlGetUint32(s.fd, unix.TIOCINQ)
		return n == 0 && err == nil
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := testwait.Value(t, "the end of Relay", done); err != nil {
		t.Error(err)
	}
}

func TestReadyOfAProcessThatHasEndedCounts(t *testing.T) {
	host, next := manager(t)
	s, dir := listen(t)
	cmd, pidfd := process(t, "true")
	_ = cmd.Wait()
	say(t, dir, "READY=1")
	done := make(chan error)
	go func() { done <- s.Relay(host, pidfd, 7) }()
	if got := next(); got != "READY=1\n" {
		t.Errorf("got %q", got)
	}
	next()
	next()
	if err := testwait.Value(t, "the end of Relay", done); err != nil {
		t.Error(err)
	}
}

func TestErrors(t *testing.T) {
	s, dir := listen(t)
	_, pidfd := process(t, "sleep", "1000")
	absent := filepath.Join(t.TempDir(), "absent")
	for host, want := range map[string]string{
		"":          `NOTIFY_SOCKET: "" is neither an absolute path nor an abstract name`,
		"vsock:2:1": `NOTIFY_SOCKET: "vsock:2:1" is neither`,
		absent:      "NOTIFY_SOCKET: connect to " + absent + ": no such file or directory",
	} {
		say(t, dir, "READY=1")
		if err := s.Relay(host, pidfd, 1); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", host, err, want)
		}
	}
	if _, err := Listen(absent); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: got %v", err)
	}
	var none *Socket
	none.Close()
	if err := none.Relay("", -1, 0); err != nil {
		t.Error(err)
	}
}

func TestBarrierHasAnEnd(t *testing.T) {
	addr := filepath.Join(t.TempDir(), "m")
	m, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(m)
	if err := unix.Bind(m, &unix.SockaddrUnix{Name: addr}); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: addr}); err != nil {
		t.Fatal(err)
	}
	// The manager reads nothing.
	if err := barrier(fd, addr, time.Now().Add(20*time.Millisecond)); !errors.Is(err, unix.ETIMEDOUT) {
		t.Errorf("got %v, want %v", err, unix.ETIMEDOUT)
	}
}

// What a manager that reads nothing has not taken is waited for until the same end.
func TestTellHasAnEnd(t *testing.T) {
	addr, _ := manager(t) // it reads nothing
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for err == nil { // until the queue is full
		err = unix.Sendto(fd, []byte("X=y"), 0, &unix.SockaddrUnix{Name: addr})
	}
	if err != unix.EAGAIN {
		t.Fatal(err)
	}
	wait := barrierWait
	barrierWait = 20 * time.Millisecond
	defer func() { barrierWait = wait }()
	got := make(chan error)
	go func() { got <- tell(addr, []byte("READY=1"), 7) }()
	if err := testwait.Value(t, "the end of the wait for the manager", got); !errors.Is(err, unix.ETIMEDOUT) {
		t.Errorf("got %v, want %v", err, unix.ETIMEDOUT)
	}
}

// The socket that Close removes is its own: by then another container of the same id may
// have one at the path.
func TestCloseLeavesAnothersSocket(t *testing.T) {
	s, dir := listen(t)
	if err := os.Rename(dir, dir+".gone"); err != nil {
		t.Fatal(err)
	}
	if _, err := Prepare(filepath.Dir(filepath.Dir(dir)), false); err != nil {
		t.Fatal(err)
	}
	other, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s.Close()
	if _, err := os.Stat(filepath.Join(dir, Name)); err != nil {
		t.Errorf("the other socket is gone: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir+".gone", Name)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the own socket is left: %v", err)
	}
}

// TestOthersDoNotReachTheSocket: the container's state directory lets other users pass.
func TestOthersDoNotReachTheSocket(t *testing.T) {
	for passable, want := range map[bool]os.FileMode{false: 0o700, true: 0o711} {
		state := t.TempDir()
		dir, err := Prepare(state, passable)
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]os.FileMode{filepath.Join(state, Dir): want, dir: 0o755} {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
				t.Errorf("passable %v: %s: %v, %v; want %o", passable, path, info, err, want)
			}
		}
	}
}

// TestLinkInTheSocketsPlace: nothing but the socket gets the socket's mode.
func TestLinkInTheSocketsPlace(t *testing.T) {
	dir := t.TempDir()
	secret := dir + "/secret"
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &Socket{fd: -1, dir: d}
	defer s.Close()
	for what, put := range map[string]func() error{
		"a link":         func() error { return os.Symlink(secret, dir+"/"+Name) },
		"another's name": func() error { return os.Link(secret, dir+"/"+Name) },
	} {
		if err := put(); err != nil {
			t.Fatal(err)
		}
		if err := s.open(); err == nil {
			t.Errorf("%s: taken for the socket", what)
		}
		if st, err := os.Stat(secret); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", what, st.Mode(), err)
		}
		if err := os.Remove(dir + "/" + Name); err != nil {
			t.Fatal(err)
		}
	}
}
