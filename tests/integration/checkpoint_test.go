package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testneed"
)

// criuMissing says why there is no checkpoint on this machine; empty where there is one.
var criuMissing = sync.OnceValue(func() string {
	if _, err := exec.LookPath("criu"); err != nil {
		return "needs criu"
	}
	if testneed.Must("criu") {
		return "" // the check takes as long as a checkpoint
	}
	if out, err := exec.Command("criu", "check").CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return "criu check fails: " + lines[len(lines)-1]
	}
	return ""
})

func needsCRIU(t *testing.T) {
	t.Helper()
	hutchOnly(t, "its keys are paths")
	if os.Geteuid() != 0 {
		t.Skip("needs root of the host")
	}
	why := criuMissing()
	if why != "" && why != "needs criu" {
		t.Skip(why)
	}
	needs(t, "criu", why == "")
}

// number returns what the container has written to a file of its own.
func (b *bundle) number(file string) int {
	text, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(b.pid), "root", file))
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}

// counts waits until a counter of the container has gone on from n, and returns it.
func (b *bundle) counts(file string, n int) int {
	b.t.Helper()
	eventually(b.t, "the counter "+file+" goes on from "+strconv.Itoa(n), func() bool { return b.number(file) > n })
	return b.number(file)
}

// checkpoint makes a checkpoint, after which the container is gone.
func (b *bundle) checkpoint(flags ...string) {
	b.t.Helper()
	b.rt(append(append([]string{"checkpoint", "--image-path", b.path("images")}, flags...), b.id)...).ok(b.t)
	b.wait()
	b.rt("state", b.id).failed(b.t, "container does not exist")
}

// restore restores the checkpoint, in the background.
func (b *bundle) restore(flags ...string) {
	b.t.Helper()
	call{
		root: b.root, stdout: b.path("out"), stderr: b.path("err"),
		args: b.line("restore", append([]string{"--detach", "--image-path", b.path("images"), "--pid-file", b.path("pid")}, flags...)...),
	}.do(b.t).ok(b.t)
	b.readPid()
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestCheckpoint: what runs is as it was, and what the configuration forbids is forbidden.
func TestCheckpoint(t *testing.T) {
	needsCRIU(t)
	work := t.TempDir()
	for _, name := range []string{"data", "hosts", "name"} {
		if err := os.WriteFile(filepath.Join(work, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// Two files of one file system with the same options, which CRIU takes for one.
	b := newBundle(t,
		sh(`echo secret >/kept/file; exec 5>>/tmp/open; sleep 1000 | sleep 1000 & probe keep /kept/probe &
i=0; while :; do i=$((i+1)); echo $i >/kept/n; echo $i >&5; sleep 0.05; done`),
		tmpfsMount("/kept"), bindMount(filepath.Join(work, "hosts"), "/etc/hosts", "ro"), bindMount(filepath.Join(work, "name"), "/etc/name", "ro"),
		bindMount(work, "/a] :,", "rbind", "ro"),
		func(s *specs.Spec) {
			s.Process.NoNewPrivileges = true
			s.Linux.MaskedPaths = []string{"/proc/keys", "/proc/timer_list", "/proc/kcore", "/sys/firmware"}
			s.Linux.ReadonlyPaths = []string{"/proc/sys"}
			s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"chown"}, Action: specs.ActErrno}}}
			s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(50))}}
		}).create().start()
	n, m := b.counts("/kept/n", 2), b.counts("/kept/probe", 2)
	b.checkpoint()
	b.restore()
	if got := b.counts("/kept/n", n); got > n+100000 {
		t.Errorf("it counts %d, and was at %d", got, n)
	}
	b.counts("/kept/probe", m)
	b.status("running")
	b.execs("secret", nil, "cat", "/kept/file")
	b.execs("name", nil, "cat", "/etc/name")
	b.execs("data", nil, "cat", "/a] :,/data")
	if got := b.exec(nil, "sh", "-c", "echo x >/proc/sys/kernel/hostname; echo x >/etc/name; echo x >/etc/hosts; echo x >'/a] :,/data'; cat /proc/keys; ls /sys/firmware; echo end"); got.stdout != "end\n" || strings.Count(got.stderr, "Read-only file system") != 4 {
		t.Errorf("what is masked or read-only: %s", got)
	}
	status := readFile(t, "/proc/"+strconv.Itoa(b.pid)+"/status")
	for _, line := range []string{"Seccomp:\t2\n", "NoNewPrivs:\t1\n"} {
		if !strings.Contains(status, line) {
			t.Errorf("no %q in %s", line, status)
		}
	}
	b.rt("pause", b.id).ok(t)
	b.status("paused")
	b.rt("resume", b.id).ok(t)
	if got := b.rt("events", "--stats", b.id).ok(t).stdout; !strings.Contains(got, `"limit":50`) {
		t.Errorf("stats %s", got)
	}
	if err := os.RemoveAll(b.path("images")); err != nil {
		t.Fatal(err)
	}
	b.checkpoint() // a restored one, again
	b.restore()
	b.counts("/kept/probe", 0)
	b.kill("KILL")
	if code := b.wait(); code != 128+int(unix.SIGKILL) {
		t.Errorf("it ends with %d", code)
	}
	b.status("stopped").delete()
}

// TestCheckpointTerminal: a user namespace, and a terminal that goes to a socket.
func TestCheckpointTerminal(t *testing.T) {
	needsCRIU(t)
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
	b := newBundle(t, terminal, sh(`i=0; while :; do i=$((i+1)); echo "line $i"; echo $i >/dev/shm/n; sleep 0.05; done`), func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings, s.Linux.GIDMappings = ids, ids
		s.Linux.MaskedPaths = []string{"/proc/keys"}
	})
	if err := os.Chown(b.rootfs(), 100000, 100000); err != nil {
		t.Fatal(err)
	}
	s := newSocket(t, b.path("tty"))
	b.create("--console-socket", s.path)
	first, _ := s.receive()
	defer first.Close()
	b.start()
	n := b.counts("/dev/shm/n", 2)
	b.checkpoint()
	b.restore("--console-socket", s.path)
	second, _ := s.receive()
	defer second.Close()
	b.counts("/dev/shm/n", n)
	buf := make([]byte, 4096)
	if k, err := second.Read(buf); err != nil || !strings.Contains(string(buf[:k]), "line ") {
		t.Errorf("the terminal has %q, %v", buf[:k], err)
	}
	if got := readFile(t, "/proc/"+strconv.Itoa(b.pid)+"/uid_map"); !strings.Contains(got, "100000") {
		t.Errorf("ids %s", got)
	}
	b.execs("", nil, "cat", "/proc/keys")
}

// TestCheckpointChain: memory that is copied ahead, a container that goes on, and a restore
// in the foreground, which has the exit status.
func TestCheckpointChain(t *testing.T) {
	needsCRIU(t)
	for name, edits := range map[string][]edit{"root": nil, "user namespace": {userNamespace}} {
		t.Run(name, func(t *testing.T) { checkpointChain(t, edits...) })
	}
}

func checkpointChain(t *testing.T, edits ...edit) {
	script := sh(`i=0; while [ ! -e /tmp/end ]; do i=$((i+1)); echo $i >/dev/shm/n; sleep 0.05; done; exit 7`)
	b := newBundle(t, append(edits, script)...).create().start()
	n := b.counts("/dev/shm/n", 2)
	b.rt("checkpoint", "--pre-dump", "--image-path", b.path("pre"), b.id).ok(t)
	n = b.counts("/dev/shm/n", n)
	b.rt("checkpoint", "--leave-running", "--image-path", b.path("images"), "--parent-path", "../pre", "--work-path", b.path("work"), b.id).ok(t)
	b.counts("/dev/shm/n", n)
	b.delete("--force")
	b.wait()
	if st, err := os.Stat(b.path("images/parent")); err != nil || !st.IsDir() {
		t.Errorf("the images have no parent: %v", err)
	}
	if err := os.WriteFile(b.rootfs("tmp", "end"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	// To CRIU the standard streams are files like others: the same, as they were.
	res := call{
		root: b.root, stdout: b.path("out"), stderr: b.path("err"),
		args: b.line("restore", "--image-path", b.path("images"), "--work-path", b.path("work")),
	}.do(t)
	if res.code != 7 {
		t.Errorf("want status 7: %s", res)
	}
	for _, log := range []string{"dump.log", "restore.log"} {
		if _, err := os.Stat(b.path("work/" + log)); err != nil {
			t.Error(err)
		}
	}
}

// TestCheckpointRefused: the error says what CRIU could not do, and what helps; the container
// goes on.
func TestCheckpointRefused(t *testing.T) {
	needsCRIU(t)
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	b := newBundle(t, sh(`i=0; while :; do i=$((i+1)); echo $i >/dev/shm/n; sleep 0.05; done`))
	c := b.createCall("--preserve-fds", "1")
	c.files = []*os.File{file}
	c.do(t).ok(t)
	b.readPid()
	b.start()
	n := b.counts("/dev/shm/n", 1)
	b.rt("checkpoint", "--image-path", b.path("images"), b.id).failed(t, "a process has a file open that is on no mount of the container", b.path("images")+"/dump.log")
	b.status("running")
	b.counts("/dev/shm/n", n)
}

// TestCheckpointDelegated: a restored container has the cgroup that is its own to manage, with the
// controllers of the one above.
func TestCheckpointDelegated(t *testing.T) {
	hutchOnly(t, "runc has no such annotation")
	needsCRIU(t)
	if !onV2(t) {
		return // where it is refused
	}
	b := newBundle(t, args("sleep", "1000"), pidsLimit(50), annotation("run.oci.delegate-cgroup", "own/payload")).create().start()
	b.checkpoint()
	b.restore()
	place := b.cgroupOf(b.pid, "")
	group, is := strings.CutSuffix(place, "/own/payload")
	if !is {
		t.Fatalf("init is in %q", place)
	}
	for file, want := range map[string]string{"/pids.max": "50\n", "/own/payload/pids.max": "max\n", "/cgroup.procs": ""} {
		if got := readText(t, cgroupRoot+group+file); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
	b.execs("0::/own/payload", nil, "cat", "/proc/self/cgroup")
	b.delete("--force")
}
