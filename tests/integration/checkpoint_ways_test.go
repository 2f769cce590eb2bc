package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/tests/testpty"
)

// count is a program that writes numbers to a file of its memory file system.
func count(file string) string {
	return "i=0; while :; do i=$((i+1)); echo $i >" + file + "; sleep 0.05; done"
}

// TestCheckpointReadOnlyRoot: a root that is read-only is so again, and processes that an exec
// has left to init are in the checkpoint, as is the label.
func TestCheckpointReadOnlyRoot(t *testing.T) {
	needsCRIU(t)
	needsAppArmor(t)
	b := newBundle(t, sh(count("/dev/shm/n")), tmpfsMount("/tmp"), appArmor("hutchtest-a"), func(s *specs.Spec) { s.Root.Readonly = true })
	writeText(t, b.rootfs("secret"), "secret read\n")
	b.create().start()
	b.exec(nil, "sh", "-c", "{ "+count("/dev/shm/m")+"; } </dev/null >/dev/null 2>&1 &").ok(t) // is init's child then
	n, m := b.counts("/dev/shm/n", 1), b.counts("/dev/shm/m", 1)
	b.checkpoint()
	b.restore()
	b.counts("/dev/shm/n", n)
	b.counts("/dev/shm/m", m)
	if got := b.exec(nil, "sh", "-c", "echo x >/file; cat /secret; cat /proc/1/attr/current"); !strings.Contains(got.stderr, "Read-only file system") ||
		!strings.Contains(got.stderr, "/secret': Permission denied") || got.stdout != "hutchtest-a (enforce)\n" {
		t.Errorf("after the restore: %s", got)
	}
	b.checkpoint()
	// A label that is not the configuration's is one that was asked for.
	b.restore("--lsm-profile", "apparmor:hutchtest-b")
	b.execs("hutchtest-b (enforce)", nil, "cat", "/proc/1/attr/current")
}

// TestCheckpointMountOptions: a bind, and what comes with it, has the options of config.json after
// a restore, whatever the container's processes have made of them.
func TestCheckpointMountOptions(t *testing.T) {
	needsCRIU(t)
	for _, way := range []struct {
		name string
		edit edit
	}{{"root", func(*specs.Spec) {}}, {"user namespace", userNamespace}} {
		t.Run(way.name, func(t *testing.T) {
			b := newBundle(t, sh("exec >/dev/null 2>&1; "+count("/dev/shm/n")), withCapabilities("CAP_SYS_ADMIN"), way.edit)
			if err := os.Chown(b.rootfs(), mappedRoot, mappedRoot); err != nil {
				t.Fatal(err)
			}
			source := hostTmpfs(t, b.path("source"), "rw")
			hostTmpfs(t, source+"/sub", "nodev")
			places := []string{"/all", "/all/sub", "/top", "/top/sub", "/plain", "/same", "/own"}
			mount(specs.Mount{Destination: "/own", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "noexec"}})(b.spec)
			bindMount(source, "/all", "rbind", "rro", "rnosuid", "noexec")(b.spec)
			bindMount(source, "/top", "rbind", "ro", "nosuid")(b.spec)
			bindMount(source, "/plain", "ro")(b.spec)
			bindMount(source, "/same", "ro")(b.spec)
			b.writeSpec()
			b.create().start()
			options := func() (list []string) {
				mounts := parseMounts(t, readFile(t, fmt.Sprintf("/proc/%d/mountinfo", b.pid)))
				for _, at := range places {
					list = append(list, at+" "+mountAt(t, mounts, at).options)
				}
				return list
			}
			before := options()
			for _, at := range places { // what the kernel has locked stays
				b.exec(nil, "mount", "-o", "remount,bind,rw,suid,exec", at)
				b.exec(nil, "mount", "-o", "remount,bind,rw,suid,exec,nodev", at)
			}
			if changed := options(); changed[0] == before[0] || changed[1] == before[1] || changed[4] == before[4] || changed[6] == before[6] {
				t.Fatalf("the container has changed nothing: %q", changed)
			}
			n := b.counts("/dev/shm/n", 2)
			b.checkpoint()
			b.restore()
			b.counts("/dev/shm/n", n)
			if after := options(); !slices.Equal(after, before) {
				t.Errorf("after the restore %q, before the checkpoint %q", after, before)
			}
			b.delete("--force")
			b.wait()
		})
	}
}

// TestCheckpointPod: a container that shares the namespaces of another one, which goes on.
func TestCheckpointPod(t *testing.T) {
	needsCRIU(t)
	// Its init waits for what dies there, as that of a pod does: a zombie keeps numbers.
	first := newBundle(t, sh("while :; do sleep 0.1; done")).create().start()
	kinds := []specs.LinuxNamespaceType{specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.PIDNamespace}
	b := newBundle(t, sh(count("/tmp/n")), tmpfsMount("/tmp"), func(s *specs.Spec) {
		for _, kind := range kinds {
			namespace(kind, nsPath(first.pid, kind))(s)
		}
		s.Hostname = ""
	}).create().start()
	n := b.counts("/tmp/n", 1)
	b.checkpoint()
	first.status("running")
	b.restore()
	b.counts("/tmp/n", n)
	for _, kind := range kinds {
		if own, want := nsOf(t, b.pid, kind), nsOf(t, first.pid, kind); own != want {
			t.Errorf("it is in the %s namespace %s, want %s", kind, own, want)
		}
	}
}

// TestCheckpointTime: in a time namespace the clock goes on from where it was.
func TestCheckpointTime(t *testing.T) {
	needsCRIU(t)
	b := newBundle(t, sh(count("/dev/shm/n")), namespace(specs.TimeNamespace, ""), func(s *specs.Spec) {
		s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Secs: 1000000}, "boottime": {Secs: 2000000}}
	}).create().start()
	n := b.counts("/dev/shm/n", 1)
	b.checkpoint()
	b.restore()
	b.counts("/dev/shm/n", n)
	up := b.exec(nil, "cat", "/proc/uptime").ok(t).stdout
	if secs, _ := strconv.ParseFloat(strings.Fields(up)[0], 64); secs < 2000000 || secs > 2100000 {
		t.Errorf("it is up for %s", up)
	}
}

// TestCheckpointConnection: a connection from outside of the container goes on with
// --tcp-established, and without is a reason to fail.
func TestCheckpointConnection(t *testing.T) {
	needsCRIU(t)
	b := newBundle(t, withoutNamespace(specs.NetworkNamespace), func(s *specs.Spec) { s.Linux.Sysctl = nil },
		sh("while :; do nc -l -p 7777 -e sh -c 'while read line; do echo \"got $line\"; done'; done")).create().start()
	var conn net.Conn
	eventually(t, "the container listens", func() (ok bool) {
		var err error
		conn, err = (&net.Dialer{KeepAlive: -1}).Dial("tcp", "127.0.0.1:7777") // no probe while nobody is there
		return err == nil
	})
	defer conn.Close()
	says := func(word string) {
		t.Helper()
		buf := make([]byte, 100)
		if _, err := fmt.Fprintln(conn, word); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "got "+word+"\n" {
			t.Fatalf("the answer is %q, %v", buf[:n], err)
		}
	}
	says("one")
	b.rt("checkpoint", "--image-path", b.path("images"), b.id).failed(t, "give --tcp-established")
	says("two")
	b.checkpoint("--tcp-established")
	b.restore("--tcp-established")
	says("three")
}

// TestCheckpointPages: memory goes to a page server, from which a copy of the images is
// restored; and it stays behind until it is used.
func TestCheckpointPages(t *testing.T) {
	needsCRIU(t)
	b := newBundle(t, sh(count("/dev/shm/n"))).create().start()
	n := b.counts("/dev/shm/n", 1)
	serve := func(words ...string) *exec.Cmd {
		t.Helper()
		cmd := exec.Command("criu", words...)
		cmd.Dir = b.tmp
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		return cmd
	}
	images := b.path("images")
	if err := os.Mkdir(images, 0o700); err != nil {
		t.Fatal(err)
	}
	server := serve("page-server", "--images-dir", images, "--port", "7778")
	listens := func(port int) {
		t.Helper()
		eventually(t, "CRIU listens", func() bool {
			text := readFile(t, "/proc/net/tcp")
			return strings.Contains(text, fmt.Sprintf(":%04X 00000000:0000 0A", port))
		})
	}
	listens(7778)
	b.checkpoint("--page-server", "127.0.0.1:7778")
	if err := server.Wait(); err != nil {
		t.Errorf("the page server: %v", err)
	}
	b.restore()
	n = b.counts("/dev/shm/n", n)

	lazy := b.path("lazy")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	dump := call{
		root: b.root, files: []*os.File{w},
		args: []string{"checkpoint", "--lazy-pages", "--page-server", "0.0.0.0:7779", "--status-fd", "3", "--image-path", lazy, b.id},
	}.start(t)
	w.Close()
	if k, err := r.Read(make([]byte, 1)); k != 1 {
		t.Fatalf("no word from the server of pages: %v\n%s", err, dump.wait())
	}
	daemon := serve("lazy-pages", "--page-server", "--address", "127.0.0.1", "--port", "7779", "--images-dir", lazy, "--work-dir", lazy)
	eventually(t, "the daemon listens", func() bool { _, err := os.Stat(filepath.Join(lazy, "lazy-pages.socket")); return err == nil })
	other := newBundle(t, sh("true"))
	other.spec.Process.Args = b.spec.Process.Args
	other.writeSpec()
	call{
		root: other.root, stdout: b.path("out"), stderr: b.path("err"),
		args: other.line("restore", "--detach", "--lazy-pages", "--image-path", lazy, "--pid-file", other.path("pid")),
	}.do(t).ok(t)
	other.readPid()
	other.counts("/dev/shm/n", n)
	dump.wait().ok(t)
	if err := daemon.Wait(); err != nil {
		t.Errorf("the daemon of lazy pages: %v", err)
	}
	b.wait()
	b.rt("state", b.id).failed(t, "container does not exist")
}

// TestCheckpointShellJob: a terminal of the caller's is taken with --shell-job alone, and the
// restored container has that of its caller.
func TestCheckpointShellJob(t *testing.T) {
	needsCRIU(t)
	b := newBundle(t, sh(`i=0; while :; do i=$((i+1)); echo "line $i"; echo $i >/dev/shm/n; sleep 0.05; done`))
	master, slave := testpty.Open(t)
	c := b.createCall()
	c.stdin, c.stdout, c.stderr = slave, slave.Name(), slave.Name()
	c.do(t)
	b.readPid()
	b.start()
	first := watch(master)
	first.wait(t, "line 1")
	n := b.counts("/dev/shm/n", 1)
	b.rt("checkpoint", "--image-path", b.path("images"), b.id).failed(t, "a standard stream is a terminal of the caller's; give --shell-job")
	n = b.counts("/dev/shm/n", n)
	b.checkpoint("--shell-job")
	again, end := testpty.Open(t)
	call{
		root: b.root, stdin: end, stdout: end.Name(), stderr: end.Name(),
		args: b.line("restore", "--detach", "--shell-job", "--image-path", b.path("images"), "--pid-file", b.path("pid")),
	}.do(t)
	b.readPid()
	b.counts("/dev/shm/n", n)
	watch(again).wait(t, "line ")
}
