package integration

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testwait"
)

// openFiles gives n files to hand on as descriptors from 3.
func openFiles(t testing.TB, b *bundle, n int) []*os.File {
	t.Helper()
	var list []*os.File
	for i := range n {
		f, err := os.Open(writeText(t, b.path(fmt.Sprintf("fd%d", 3+i)), fmt.Sprintf("this is %d\n", 3+i)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		list = append(list, f)
	}
	return list
}

// TestNoOtherDescriptor: what the caller left open never reaches the process.
func TestNoOtherDescriptor(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("probe", "fds"))
	res := call{root: b.root, args: b.line("run"), files: openFiles(t, b, 5)}.do(t).ok(t)
	if res.stdout != "0 1 2\n" {
		t.Errorf("descriptors %q, want 0 1 2", res.stdout)
	}
	c := newBundle(t, args("sleep", "1000"))
	line := c.createCall()
	line.files = openFiles(t, c, 3)
	line.do(t).ok(t)
	c.readPid()
	c.start()
	eventually(t, "sleep runs", func() bool { return strings.HasPrefix(readText(t, fmt.Sprintf("/proc/%d/cmdline", c.pid)), "sleep") })
	if names := dirNames(t, fmt.Sprintf("/proc/%d/fd", c.pid)); strings.Join(names, " ") != "0 1 2" {
		t.Errorf("descriptors %q, want 0 1 2", names)
	}
}

func TestPreserveFds(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("probe fds; cat <&3; cat <&4"))
	res := call{root: b.root, args: b.line("run", "--preserve-fds", "2"), files: openFiles(t, b, 4)}.do(t).ok(t)
	if res.stdout != "0 1 2 3 4\nthis is 3\nthis is 4\n" {
		t.Errorf("%q", res.stdout)
	}
}

// TestPreserveFdsWithHoles: only what was open is handed on, and nothing of
// the runtime's own fills a hole.
func TestPreserveFdsWithHoles(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 refuses a hole")
	b := newBundle(t, sh("probe fds; cat <&4; cat <&40"))
	files := make([]*os.File, 38) // nil is a hole
	two := openFiles(t, b, 2)
	files[4-3], files[40-3] = two[1], two[0]
	out := call{root: b.root, args: b.line("run", "--preserve-fds", "38"), files: files}.do(t).ok(t)
	if out.stdout != "0 1 2 4 40\nthis is 4\nthis is 3\n" {
		t.Errorf("%q", out.stdout)
	}
}

// TestPreserveFdsHoldsNothingOfTheRuntime: what the runtime opens itself does not
// stand among the numbers that are asked for, where it would be open as long as the
// process is being made.
func TestPreserveFdsHoldsNothingOfTheRuntime(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 refuses a hole")
	b := newBundle(t, args("sleep", "1000"))
	files := make([]*os.File, 38) // nil is a hole
	files[40-3] = openFiles(t, b, 1)[0]
	create := b.createCall("--preserve-fds", "60")
	create.files = files
	create.do(t).ok(t)
	b.readPid()
	for _, name := range dirNames(t, fmt.Sprintf("/proc/%d/fd", b.pid)) {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", b.pid, name))
		if err != nil {
			t.Fatal(err)
		}
		n, _ := strconv.Atoi(name)
		hole := n >= 3 && n < 40
		if hole && link != "anon_inode:[eventfd]" || !hole && strings.HasPrefix(link, "/sys/fs/cgroup") {
			t.Errorf("descriptor %d of the created init is %s", n, link)
		}
	}
	b.start()
	look := call{root: b.root, files: files, args: []string{"exec", "--preserve-fds", "60", b.id, "probe", "fds"}}
	if out := look.do(t).ok(t); out.stdout != "0 1 2 40\n" {
		t.Errorf("exec: descriptors %q", out.stdout)
	}
	if names := dirNames(t, fmt.Sprintf("/proc/%d/fd", b.pid)); strings.Join(names, " ") != "0 1 2 40" {
		t.Errorf("create and start: descriptors %q", names)
	}
	c := newBundle(t, args("probe", "fds"))
	if out := (call{root: c.root, files: files, args: c.line("run", "--preserve-fds", "60")}).do(t).ok(t); out.stdout != "0 1 2 40\n" {
		t.Errorf("run: descriptors %q", out.stdout)
	}
}

// TestPreserveFdsBeyondWhatIsOpen: a number that is larger than what the caller has
// open hands on what is, and an absurd one is refused by name.
func TestPreserveFdsBeyondWhatIsOpen(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 refuses a descriptor that is not open")
	b := newBundle(t, args("sleep", "1000")).create().start()
	c := newBundle(t, args("probe", "fds"))
	none := make([]*os.File, 300) // what the test itself was started with is closed
	do := func(line ...string) result { return call{root: b.root, files: none, args: line}.do(t) }
	for name, do := range map[string]func(flags ...string) result{
		"create": func(flags ...string) result { return do(c.line("create", flags...)...) },
		"run":    func(flags ...string) result { return do(c.line("run", flags...)...) },
		"exec": func(flags ...string) result {
			return do(append(append([]string{"exec"}, flags...), b.id, "probe", "fds")...)
		},
	} {
		if name != "create" {
			if out := do("--preserve-fds", "300").ok(t); out.stdout != "0 1 2\n" {
				t.Errorf("%s: 300: descriptors %q", name, out.stdout)
			}
		}
		for _, n := range []string{"-1", "1048577", "2147483644", "2147483647", "99999999999", "9223372036854775807", "1e3", "", "+", "three"} {
			res := do("--preserve-fds", n)
			if res.code == 0 || !strings.Contains(res.stderr, "preserve-fds") || !strings.Contains(res.stderr, n) {
				t.Errorf("%s --preserve-fds %q: %s", name, n, res)
			}
		}
	}
}

// TestListenFds: systemd's descriptors are handed on when they are meant for
// this process, and the container is told so.
//
// Source: sd_listen_fds(3).
func TestListenFds(t *testing.T) {
	t.Parallel()
	listen := func(t *testing.T, pid string, want string, flags ...string) {
		b := newBundle(t, sh(`probe fds; echo "$LISTEN_FDS $LISTEN_PID"`))
		res := call{root: b.root, args: b.line("run", flags...), files: openFiles(t, b, 3),
			wrap: []string{"sh", "-c", "LISTEN_FDS=2 LISTEN_PID=" + pid + ` exec "$@"`, "sh"}}.do(t).ok(t)
		if res.stdout != want {
			t.Errorf("%q, want %q", res.stdout, want)
		}
	}
	t.Run("for this process", func(t *testing.T) { t.Parallel(); listen(t, "$$", "0 1 2 3 4\n2 1\n") })
	t.Run("for another process", func(t *testing.T) {
		t.Parallel()
		hutchOnly(t, "1.1 hands them on all the same")
		listen(t, "1", "0 1 2\n \n")
	})
	for _, n := range []string{"4", "2147483647", "9223372036854775807"} {
		t.Run("more than there are: "+n, func(t *testing.T) {
			t.Parallel()
			hutchOnly(t, "1.1 takes them all the same")
			b := newBundle(t, args("true"))
			res := call{root: b.root, args: b.line("run"), files: openFiles(t, b, 3),
				wrap: []string{"sh", "-c", "LISTEN_FDS=" + n + ` LISTEN_PID=$$ exec "$@"`, "sh"}}.do(t)
			if res.code != 1 || !strings.Contains(res.stderr, "LISTEN_FDS="+n) {
				t.Errorf("%s", res)
			}
		})
	}
	t.Run("on top of the preserved", func(t *testing.T) {
		t.Parallel()
		listen(t, "$$", "0 1 2 3 4 5\n2 1\n", "--preserve-fds", "1")
	})
}

// TestNotifySocket: what the process says to its service manager is passed on,
// with MAINPID for READY.
//
// Source: sd_notify(3).
func TestNotifySocket(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh(`echo "$NOTIFY_SOCKET"; sleep 0.2; probe send "$NOTIFY_SOCKET" READY=1; sleep 1000`))
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: b.path("manager"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := b.createCall()
	c.env = append(os.Environ(), "NOTIFY_SOCKET="+b.path("manager"))
	c.do(t).ok(t)
	b.readPid()
	start := call{root: b.root, args: []string{"start", b.id}, env: c.env}.start(t)
	conn.SetReadDeadline(testwait.Deadline())
	var said []string
	for !strings.Contains(strings.Join(said, "\n"), "MAINPID=") {
		buf, oob := make([]byte, 4096), make([]byte, 256)
		n, oobn, _, _, err := conn.ReadMsgUnix(buf, oob)
		if err != nil {
			t.Fatalf("%v after %q", err, said)
		}
		closeReceived(oob[:oobn])
		said = append(said, string(buf[:n]))
	}
	text := strings.Join(said, "\n")
	if !strings.Contains(text, "READY=1") || !strings.Contains(text, "MAINPID="+strconv.Itoa(b.pid)) {
		t.Errorf("the manager heard %q, want READY=1 and MAINPID=%d", said, b.pid)
	}
	// A barrier's descriptor must be closed for start to end.
	ended := make(chan bool)
	go func() {
		defer close(ended)
		for {
			buf, oob := make([]byte, 4096), make([]byte, 256)
			_, oobn, _, _, err := conn.ReadMsgUnix(buf, oob)
			closeReceived(oob[:oobn])
			if err != nil {
				return
			}
		}
	}()
	start.wait().ok(t)
	conn.Close()
	testwait.Value(t, "the manager's end", ended)
	if got := b.output(); !strings.HasPrefix(got, "/") || strings.Contains(got, b.tmp) {
		t.Errorf("NOTIFY_SOCKET inside is %q", got)
	}
}

// TestNotifySocketGone: a NOTIFY_SOCKET where no service manager listens (any more) keeps no
// command waiting for a word of readiness that nobody would hear. start says so, as runc does;
// of run and its process, which runs, it is no failure.
func TestNotifySocketGone(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, b *bundle, line ...string) result {
		return call{root: b.root, args: line, env: append(os.Environ(), "NOTIFY_SOCKET="+b.path("gone"))}.do(t)
	}
	want := "NOTIFY_SOCKET: connect to "
	t.Run("start", func(t *testing.T) {
		t.Parallel()
		hutchOnly(t, "the text is Hutch's")
		b := newBundle(t, args("sleep", "1000"))
		c := b.createCall()
		c.env = append(os.Environ(), "NOTIFY_SOCKET="+b.path("gone"))
		c.do(t).ok(t)
		b.readPid()
		if res := run(t, b, "start", b.id); res.code != 1 || !strings.Contains(res.stderr, want) {
			t.Errorf("start: exit code %d, %q; want 1 and %q", res.code, res.stderr, want)
		}
		b.status("running")
	})
	t.Run("run detached", func(t *testing.T) {
		t.Parallel()
		b := newBundle(t, args("sleep", "1000"))
		if res := run(t, b, b.line("run", "--detach")...); res.code != 0 {
			t.Errorf("run: exit code %d, %q; want 0", res.code, res.stderr)
		}
		b.status("running")
	})
	t.Run("run", func(t *testing.T) {
		t.Parallel()
		b := newBundle(t, args("true"))
		if res := run(t, b, b.line("run")...); res.code != 0 || res.stderr != "" {
			t.Errorf("run: exit code %d, %q; want 0 and nothing", res.code, res.stderr)
		}
	})
}

func closeReceived(oob []byte) {
	messages, _ := unix.ParseSocketControlMessage(oob)
	for i := range messages {
		fds, _ := unix.ParseUnixRights(&messages[i])
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
}

func TestPidfdSocket(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 has no --pidfd-socket")
	b := newBundle(t, args("sleep", "1000"))
	s := newSocket(t, b.path("pidfd"))
	b.create("--pidfd-socket", s.path)
	f, payload := s.receive()
	if payload != "standard" {
		t.Errorf("payload %q, want standard", payload)
	}
	info := readText(t, fmt.Sprintf("/proc/self/fdinfo/%d", f.Fd()))
	if !strings.Contains(info, fmt.Sprintf("Pid:\t%d\n", b.pid)) {
		t.Errorf("not init's pidfd: %s", info)
	}
	if err := unix.PidfdSendSignal(int(f.Fd()), unix.SIGKILL, nil, 0); err != nil {
		t.Error(err)
	}
	if code := b.wait(); code != 137 {
		t.Errorf("exit code %d", code)
	}
}

// TestSignalsAreDefault: what the caller ignores or blocks is not inherited;
// conmon runs its runtime with SIGPIPE ignored.
func TestSignalsAreDefault(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("busybox", "grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status"))
	res := call{root: b.root, args: b.line("run"), wrap: []string{"sh", "-c", `trap "" PIPE HUP INT QUIT TERM USR1; exec "$@"`, "sh"}}.do(t).ok(t)
	for _, line := range strings.Split(strings.TrimSpace(res.stdout), "\n") {
		if !strings.HasSuffix(line, "\t0000000000000000") {
			t.Errorf("%q: want no signal", line)
		}
	}
}

// TestStdioOfEachUser: who the process is, and whose its files and pipes were, it can open
// /dev/stdout again, also in a user namespace where the caller is not mapped. A device of
// the host keeps its owner, and files their group.
func TestStdioOfEachUser(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 hands nothing over of a user who is not mapped, but for pipes of its own")
	const text = "echo one >/dev/stdout && echo two >/proc/self/fd/2 && : </dev/stdin; echo code $? >&2"
	for name, c := range map[string]struct {
		edits []edit
		uid   uint32 // in the container
		owner uint32 // on the host
	}{
		"root": {nil, 0, 0}, "user": {nil, 1000, 1000},
		"user namespace": {[]edit{userNamespace}, 0, mappedRoot}, "user of a user namespace": {[]edit{userNamespace}, 1000, mappedRoot + 1000},
	} {
		for _, w := range ways() {
			if w.hook {
				continue
			}
			t.Run(name+", "+w.name, func(t *testing.T) {
				t.Parallel()
				g := standing{edits: append(c.edits, asUser(c.uid))}.guest(t)
				file := writeText(t, g.path("stdio"), "")
				if err := os.Chmod(file, 0o600); err != nil {
					t.Fatal(err)
				}
				owner := c.owner
				if w.name == "exec process" || w.name == "exec detached" {
					owner -= c.uid // root by their file
				}
				g.asleepFor(w)
				g.stdio = file
				w.run(g, program{args: []string{"/bin/sh", "-c", text}})
				eventually(t, "its end", func() bool { return strings.Contains(readText(t, file), "code ") })
				if got := readText(t, file); !strings.Contains(got, "code 0") {
					t.Errorf("%q", got)
				}
				var st unix.Stat_t
				if err := unix.Stat(file, &st); err != nil || st.Uid != owner || st.Gid != 0 {
					t.Errorf("owner %d:%d, want %d:0 (%v)", st.Uid, st.Gid, owner, err)
				}
			})
		}
	}
}

// TestStdioDevicesKeepTheirOwner: a device on descriptor 0 is a node of the host.
func TestStdioDevicesKeepTheirOwner(t *testing.T) {
	t.Parallel()
	for name, edits := range map[string][]edit{"user": nil, "user of a user namespace": {userNamespace}} {
		for _, exec := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, exec %v", name, exec), func(t *testing.T) {
				t.Parallel()
				b := newBundle(t, append(edits, asUser(1000), args("true"))...)
				// A file system of its own, since that of temporary files may have nodev.
				dev := b.path("dev")
				if err := errors.Join(os.Mkdir(dev, 0o755), unix.Mount("dev", dev, "tmpfs", 0, "size=4k,mode=755")); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { unix.Unmount(dev, unix.MNT_DETACH) })
				node := dev + "/zero"
				if err := unix.Mknod(node, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))); err != nil {
					t.Fatal(err)
				}
				f, err := os.Open(node)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				c := call{root: b.root, args: b.line("run"), stdin: f}
				if exec {
					args("sleep", "1000")(b.spec)
					b.writeSpec()
					b.create().start()
					c.args = []string{"exec", b.id, "true"}
				}
				c.do(t).ok(t)
				var st unix.Stat_t
				if err := unix.Stat(node, &st); err != nil || st.Uid != 0 || st.Gid != 0 {
					t.Errorf("owner %d:%d (%v)", st.Uid, st.Gid, err)
				}
			})
		}
	}
}

// TestStdioOwner: pipes and files on 0, 1, 2 become the process user's, so that
// /dev/stdout can be opened again; the host's /dev/null does not.
func TestStdioOwner(t *testing.T) {
	t.Parallel()
	before, err := os.Stat("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	b := newBundle(t, sh("echo one >/dev/stdout; echo two >/proc/self/fd/2; cat /dev/stdin"), asUser(1000))
	res := b.run()
	if res.code != 0 || !strings.Contains(res.stdout, "one") || !strings.Contains(res.stderr, "two") {
		t.Errorf("%s", res)
	}
	after, err := os.Stat("/dev/null")
	if err != nil || after.Sys().(*syscall.Stat_t).Uid != before.Sys().(*syscall.Stat_t).Uid {
		t.Errorf("the host's /dev/null has a new owner (%v)", err)
	}
}
