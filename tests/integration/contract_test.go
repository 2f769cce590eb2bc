package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testplain"
	"github.com/hutch-project/hutch/tests/testwait"
)

// The rules of an engine's contract with a runtime, as engines' sources state
// them; each names who breaks without it. Rules on pause, exec, cgroup limits
// and systemd are tested with those.

// Rules 1, 2, 3, 5: containerd, buildkit, cri-o, conmon.
func TestContractRule01PidFile(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("sleep", "1000"))
	// cri-o makes it beforehand, empty. A poller must never see it half written.
	path := writeText(t, b.path("pid"), "")
	stop, seen := make(chan struct{}), make(chan []string, 1)
	go func() {
		var texts []string
		for {
			data, err := os.ReadFile(path)
			if err != nil {
				texts = append(texts, err.Error())
			} else if len(data) > 0 && (len(texts) == 0 || texts[len(texts)-1] != string(data)) {
				texts = append(texts, string(data))
			}
			select {
			case <-stop:
				seen <- texts
				return
			default:
			}
		}
	}()
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	b.create()
	close(stop)
	want := strconv.Itoa(b.pid)
	if texts := <-seen; len(texts) > 1 || len(texts) == 1 && texts[0] != want {
		t.Errorf("the pid file was seen as %q, want %q only", texts, want)
	}
	if got := readText(t, path); got != want {
		t.Errorf("pid file %q, want %q: decimal, no newline", got, want)
	}
	after, err := os.Stat(path)
	if err != nil || os.SameFile(before, after) {
		t.Errorf("the file was written in place, not replaced (%v)", err)
	}
	if names := dirNames(t, b.tmp); strings.Contains(strings.Join(names, " "), ".pid") || len(names) != 3 {
		t.Errorf("beside the pid file: %q", names)
	}
}

// Rule 4, podman: a failed create leaves no pid file; refused looks.
func TestContractRule04NoPidFileAfterFailure(t *testing.T) {
	t.Parallel()
	refused(t, nil, args("nosuchprogram"))
	b := newBundle(t)
	b.refuse([]string{"/no/such/dir"}, "--pid-file", "/no/such/dir/pid")
}

// Rule 6, containerd, dockerd, conmon: after create the process is where it
// stays, and waits.
func TestContractRule06CreateIsComplete(t *testing.T) {
	t.Parallel()
	var place string
	parent := testplain.Unique("hutchtest")
	b := newBundle(t, sh("echo ran"), func(s *specs.Spec) {
		id := s.Process.Env[1][len(idVariable)+1:]
		if s.Linux.CgroupsPath, place = "/"+parent+"/"+id, "/"+parent+"/"+id; systemdCgroup() {
			s.Linux.CgroupsPath, place = "system.slice:rule6:"+id, "/system.slice/rule6-"+id+".scope"
		}
	})
	b.release = append(b.release, func() {
		for _, dir := range cgroupsNamed(parent) {
			unix.Rmdir(dir)
		}
	})
	b.create()
	cgroups := readText(t, fmt.Sprintf("/proc/%d/cgroup", b.pid))
	lines := strings.Split(strings.TrimSpace(cgroups), "\n")
	for _, line := range lines {
		// A hierarchy of v1 that is not mounted, and lives on by its cgroups, is out of reach.
		if name, ok := strings.CutPrefix(strings.Split(line, ":")[1], "name="); ok && len(cgroupMounts("name="+name)) == 0 {
			continue
		}
		// 1.1 leaves the container out of the hybrid layout's v2.
		if !strings.HasSuffix(line, ":"+place) && !(strings.HasPrefix(line, "0::") && len(lines) > 1) {
			t.Errorf("after create in %q", line)
		}
	}
	for _, kind := range []specs.LinuxNamespaceType{specs.NetworkNamespace, specs.MountNamespace, specs.UTSNamespace, specs.PIDNamespace, specs.IPCNamespace, specs.CgroupNamespace} {
		if nsOf(t, b.pid, kind) == nsOf(t, "self", kind) {
			t.Errorf("after create in the host's %s namespace", kind)
		}
	}
	if b.output() != "" {
		t.Errorf("the process ran: %q", b.output())
	}
	b.start()
	if code := b.wait(); code != 0 || b.output() != "ran\n" {
		t.Errorf("exit code %d, output %q", code, b.output())
	}
	if now := cgroups; now != "" && b.state().Status != "stopped" {
		t.Errorf("status %q", b.state().Status)
	}
}

// Rule 7, containerd: TestPathLookup. Here: the rollback.
func TestContractRule07RollbackOfMissingProgram(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("/no/such/program"))
	for range 3 {
		b.refuse([]string{"no such file or directory"})
	}
	args("/bin/true")(b.spec)
	b.writeSpec()
	b.create().start() // the id is free again
	b.wait()
}

// Rule 8, containerd: start succeeds though the process has ended already.
func TestContractRule08StartOfShortProcess(t *testing.T) {
	t.Parallel()
	for range repetitions(10) {
		b := newBundle(t, args("true")).create().start()
		if code := b.wait(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		b.delete()
	}
}

// Rule 9, containerd and conmon hang: nothing but the container holds the
// caller's stdout and stderr when create has ended.
func TestContractRule09NothingHoldsStdio(t *testing.T) {
	t.Parallel()
	for _, withTerminal := range []bool{false, true} {
		b := newBundle(t, args("sleep", "1000"))
		line := b.line("create", "--pid-file", b.path("pid"))
		if withTerminal {
			terminal(b.spec)
			b.writeSpec()
			line = b.line("create", "--pid-file", b.path("pid"), "--console-socket", newSocket(t, b.path("console")).path)
		}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		c := call{root: b.root, args: line, wrap: []string{"sh", "-c", `exec 1>&3 2>&3 3>&-; exec "$@"`, "sh"}, files: []*os.File{w}}
		c.do(t).ok(t)
		w.Close()
		b.readPid()
		if !withTerminal {
			b.kill("KILL").wait() // then nobody may hold it
		}
		r.SetReadDeadline(testwait.Deadline())
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Errorf("terminal %v: somebody still holds the caller's output: %v: %q", withTerminal, err, processesOf(b.id))
		}
		r.Close()
		// And no helper stays.
		if list := processesOf(b.id); len(list) > 1 {
			t.Errorf("after create there are %q", list)
		}
	}
}

// Rules 10, 11, 12: TestConsoleSocket accepts after create and checks the form
// of the message. Here: create does not wait for anybody to accept.
func TestContractRule10ConsoleIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	b := newBundle(t, terminal, args("sleep", "1000"))
	s := newSocket(t, b.path("console"))
	b.create("--console-socket", s.path) // it would never end
	s.receive()
}

// Rule 13, podman, cri-o, containerd.
func TestContractRule13DeleteOfUnknown(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	if res := b.rt("delete", "--force", "no-such-id").ok(t); res.stdout != "" {
		t.Errorf("%s", res)
	}
	b.rt("delete", "no-such-id").failed(t, "does not exist")
}

// Rule 14, containerd, buildah.
func TestContractRule14DeleteOfCreated(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("sleep", "1000")).create().delete()
	if code := b.wait(); code != 137 {
		t.Errorf("exit code %d", code)
	}
	b.nothingLeft()
}

// Rule 15, cri-o: kill --all of a stopped container kills what is left in its
// cgroup and is no error, also when nothing is left.
func TestContractRule15KillAllOfStopped(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("setsid sleep 1000 & echo up; sleep 1000"), withoutNamespace(specs.PIDNamespace)).create().start()
	b.waitOutput("up\n")
	unix.Kill(b.pid, unix.SIGKILL)
	b.wait()
	// One that is just executing its program has no environment.
	eventually(t, "a process is left to kill", func() bool { return len(processesOf(b.id)) > 0 })
	for _, words := range [][]string{{"kill", "--all", b.id, "9"}, {"kill", "-a", b.id, "9"}, {"kill", "--all", b.id, "KILL"}} {
		b.rt(words...).ok(t)
	}
	reapOrphans(t, b.id)
	b.rt("kill", "--all", b.id, "9").ok(t)
	b.delete()
}

// Rule 15: an engine reaps init while kill is at work; that is no error.
func TestContractRule15KillAllOfReaped(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("sleep 1000 & sleep 1000"), withoutNamespace(specs.PIDNamespace))
	for range repetitions(20) {
		b.create().start()
		reaped := make(chan error)
		go func() {
			_, err := unix.Wait4(b.pid, nil, 0, nil)
			reaped <- err
		}()
		b.rt("kill", "--all", b.id, "9").ok(t)
		if err := <-reaped; err != nil {
			t.Fatal(err)
		}
		reapOrphans(t, b.id)
		b.delete()
	}
}

// Rule 17, dockerd --pid=host: without a pid namespace of its own, kill 9 ends
// every process of the container.
func TestContractRule17KillWithoutPidNamespace(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 kills init only; 1.2 began this")
	b := newBundle(t, sh("setsid sleep 1000 & echo up; sleep 1000"), withoutNamespace(specs.PIDNamespace)).create().start()
	b.waitOutput("up\n")
	b.kill("9")
	b.wait()
	reapOrphans(t, b.id)
}

// Rule 18, cri-o: a zombie init is a stopped container, with an explicit pid 0.
func TestContractRule18ZombieIsStopped(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("sleep", "1000")).create().start()
	unix.Kill(b.pid, unix.SIGKILL)
	eventually(t, "init is a zombie", func() bool {
		return strings.Contains(readText(t, fmt.Sprintf("/proc/%d/stat", b.pid)), ") Z ")
	})
	res := b.rt("state", b.id).ok(t)
	var document map[string]any
	if err := json.Unmarshal([]byte(res.stdout), &document); err != nil {
		t.Fatal(err)
	}
	pid, there := document["pid"]
	if document["status"] != "stopped" || !there || pid != 0.0 {
		t.Errorf("state %v", document)
	}
	b.wait()
}

// Rule 19: TestKill, TestDelete, TestCreateTwice, TestStartErrors,
// TestPathLookup have the texts. Here: every command on an unknown id.
func TestContractRule19DoesNotExist(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for _, words := range [][]string{{"state", "ghost"}, {"kill", "ghost", "9"}, {"kill", "--all", "ghost", "9"}, {"delete", "ghost"}, {"start", "ghost"}, {"ps", "ghost"}} {
		b.rt(words...).failed(t, "does not exist")
	}
}

// Rules 20, 21, 22: containerd reads the last error line of a JSON log, podman
// the whole file as one object; cri-o and conmon read stderr.
func TestContractRule20JSONLog(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("nosuchprogram"))
	log := b.path("log.json")
	logged := func(words ...string) result {
		return call{root: b.root, global: []string{"--log", log, "--log-format", "json"}, args: words}.do(t)
	}
	res := logged(b.line("create")...)
	res.failed(t, "executable file not found in $PATH")
	entry := func(line string) (e struct{ Level, Msg, Time string }) {
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		if _, err := time.Parse(time.RFC3339, e.Time); err != nil {
			t.Error(err)
		}
		return e
	}
	text := readText(t, log)
	if strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
		t.Errorf("log %q, want exactly one line", text)
	}
	if e := entry(text); e.Level != "error" || !strings.Contains(e.Msg, `exec: "nosuchprogram": executable file not found in $PATH`) {
		t.Errorf("entry %+v", e)
	}
	// The next command appends.
	logged("state", "ghost").failed(t, "does not exist")
	lines := strings.Split(strings.TrimSpace(readText(t, log)), "\n")
	if len(lines) != 2 || !strings.Contains(entry(lines[1]).Msg, "does not exist") {
		t.Errorf("log %q", lines)
	}
	// A success adds nothing at level error.
	args("true")(b.spec)
	b.writeSpec()
	if res := logged(b.line("run")...); res.code != 0 {
		t.Errorf("%s", res)
	}
	for _, line := range strings.Split(strings.TrimSpace(readText(t, log)), "\n")[2:] {
		if entry(line).Level == "error" {
			t.Errorf("logged on success: %s", line)
		}
	}
	if info, err := os.Stat(log); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v: want mode 0644", info.Mode(), err)
	}
}

// Rule 20: the text format has the same, one line each.
func TestContractRule20TextLog(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	log := b.path("log.txt")
	call{root: b.root, global: []string{"--log", log}, args: []string{"state", "ghost"}}.do(t).failed(t, "does not exist")
	if text := readText(t, log); strings.Count(text, "\n") != 1 || !strings.Contains(text, "level=error") || !strings.Contains(text, "does not exist") {
		t.Errorf("log %q", text)
	}
	call{root: b.root, global: []string{"--log-format", "xml"}, args: []string{"state", "ghost"}}.do(t).failed(t, "xml")
	call{root: b.root, global: []string{"--log", "/no/such/dir/log"}, args: []string{"list"}}.do(t).failed(t, "/no/such/dir/log")
}

// Rule 23, cri-o, podman: silent on success.
func TestContractRule23Silent(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("sleep", "1000"))
	for _, words := range [][]string{b.line("create", "--pid-file", b.path("pid")), {"start", b.id}, {"kill", b.id, "9"}} {
		if res := b.rt(words...).ok(t); res.stdout != "" {
			t.Errorf("%s", res)
		}
	}
	b.readPid()
	b.wait()
	if res := b.rt("delete", b.id).ok(t); res.stdout != "" {
		t.Errorf("%s", res)
	}
}

// Rule 24, cri-o parses stdout and stderr together.
func TestContractRule24NothingOnStderr(t *testing.T) {
	t.Parallel()
	for _, words := range [][]string{{"features"}, {"--version"}} {
		call{args: words}.do(t).ok(t) // ok demands an empty stderr
	}
}

// Rule 26, cri-o with conmon-rs.
func TestContractRule26RepeatedGlobalFlags(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	call{global: []string{"--root=/no/such", "--root=" + b.root, "--root", b.root, "--debug", "--debug"}, args: []string{"list", "-q"}}.do(t)
	res := call{global: []string{"--root=" + b.root, "--root=" + b.root}, args: b.line("run")}.do(t)
	if res.code != 0 {
		t.Errorf("%s", res)
	}
}

// Rule 16, podman rm -f, dockerd: kill 9 ends a paused container.
func TestContractRule16KillOfPaused(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("sleep", "1000")).create().start()
	b.rt("pause", b.id).ok(t)
	b.status("paused")
	b.kill("9")
	if code := b.wait(); code != 137 {
		t.Errorf("exit code %d", code)
	}
	b.delete()
	b.nothingLeft()
}

// Rule 25, podman, buildah, containerd: the cgroup driver is remembered; only
// create names it.
func TestContractRule25DriverIsRemembered(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no --cgroup-manager")
	if systemdCgroup() {
		t.Skip("--cgroup-manager disabled contradicts --systemd-cgroup")
	}
	b := newBundle(t, args("sleep", "1000"))
	create := b.createCall()
	create.global = []string{"--cgroup-manager", "disabled"}
	create.do(t).ok(t)
	b.readPid()
	own := readText(t, "/proc/self/cgroup")
	b.start()
	if got := readText(t, fmt.Sprintf("/proc/%d/cgroup", b.pid)); got != own {
		t.Errorf("init is in\n%swant\n%s", got, own)
	}
	b.rt("exec", b.id, "true").ok(t)
	b.kill("9")
	b.wait()
	b.delete()
	if left := cgroupsNamed(b.id); len(left) > 0 {
		t.Errorf("cgroups were made: %q", left)
	}
	b.nothingLeft()
}

// Rules 27 and 28: TestNoOtherDescriptor, TestSignalsAreDefault.

// Rule 29: TestSession; here for a process without a pid namespace, and that a
// caller's parent-death signal does not reach the container.
func TestContractRule29NoParentDeathSignal(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("echo ready; exec sleep 1000"))
	c := b.createCall()
	// Its parent, the runtime, has ended when create returns: a signal of the kernel's
	// at that would be pending before the container goes on.
	c.wrap = []string{"setpriv", "--pdeathsig", "KILL", "--"}
	c.do(t).ok(t)
	b.readPid()
	b.start().waitOutput("ready\n")
	b.status("running")
}

// Rules 28 and 29: exec's processes too lead a session and have the default
// signals, though conmon ignores SIGPIPE.
func TestContractRule29ExecLeadsASession(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("sleep", "1000")).create().start()
	exec := func(words ...string) []string {
		c := call{root: b.root, args: append([]string{"exec", b.id}, words...), wrap: []string{"sh", "-c", `trap "" PIPE; exec "$@"`, "sh"}}
		return strings.Fields(c.do(t).ok(t).stdout)
	}
	if got := exec("sh", "-c", `echo $$; cut -d ' ' -f 5,6 /proc/$$/stat`); len(got) != 3 || got[1] != got[0] || got[2] != got[0] {
		t.Errorf("pid, group, session: %q, want the same three times", got)
	}
	const none = "0000000000000000"
	if got := exec("busybox", "grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status"); len(got) != 4 || got[1] != none || got[3] != none {
		t.Errorf("%q: want no signal", got)
	}
}

// Rule 30, podman, cri-o: almost no environment, and an empty XDG_RUNTIME_DIR.
func TestContractRule30AlmostNoEnvironment(t *testing.T) {
	t.Parallel()
	for _, env := range [][]string{{}, {"XDG_RUNTIME_DIR="}, {"XDG_RUNTIME_DIR=/run/user/4242"}} {
		b := newBundle(t, args("sleep", "1000"))
		do := func(words ...string) {
			c := call{root: b.root, args: words, env: env}
			if len(env) == 0 {
				c.env = []string{"X=1"}
			}
			c.do(t).ok(t)
		}
		do(b.line("create", "--pid-file", b.path("pid"))...)
		b.readPid()
		do("start", b.id)
		do("kill", b.id, "KILL")
		b.wait()
		do("delete", "--force", b.id)
	}
}

// TestContractDefaultRoot: without --root all commands agree on a directory.
func TestContractDefaultRoot(t *testing.T) {
	t.Parallel()
	_, err := os.Stat("/run/hutch")
	b := newBundle(t, args("sleep", "1000"))
	call{args: b.line("create", "--pid-file", b.path("pid"))}.do(t).ok(t)
	b.readPid()
	defer func() {
		call{args: []string{"delete", "--force", b.id}}.do(t).ok(t)
		b.wait()
		if err != nil {
			os.Remove("/run/hutch") // the test has made it
		}
	}()
	res := call{args: []string{"state", b.id}, env: []string{"XDG_RUNTIME_DIR=/nowhere"}}.do(t).ok(t)
	if !strings.Contains(res.stdout, b.id) {
		t.Errorf("%s", res)
	}
	if runtimeName == "hutch" {
		if _, err := os.Stat(filepath.Join("/run/hutch", b.id)); err != nil {
			t.Error(err)
		}
	}
}

// TestContractProcessModel: after create the container's process is a child
// of the caller, and no process of the runtime is between or beside.
func TestContractProcessModel(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("sleep", "1000")).create()
	stat := readText(t, fmt.Sprintf("/proc/%d/stat", b.pid))
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	if fields[1] != strconv.Itoa(os.Getpid()) {
		t.Errorf("init's parent is %s, want this process, %d", fields[1], os.Getpid())
	}
	if list := processesOf(b.id); len(list) > 1 {
		t.Errorf("processes %q", list)
	}
}

// TestContractBundleIsNotRewritten: shims read config.json again.
func TestContractBundleIsNotRewritten(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	before, err := os.ReadFile(b.dir + "/config.json")
	if err != nil {
		t.Fatal(err)
	}
	b.run().ok(t)
	if after, err := os.ReadFile(b.dir + "/config.json"); err != nil || !bytes.Equal(before, after) {
		t.Errorf("config.json changed (%v)", err)
	}
}

// TestContractConsoleSocketStays: engines make it, and take it away.
func TestContractConsoleSocketStays(t *testing.T) {
	t.Parallel()
	b := newBundle(t, terminal, args("nosuchprogram"))
	s := newSocket(t, b.path("console"))
	b.refuse(nil, "--console-socket", s.path)
	if _, err := os.Stat(s.path); err != nil {
		t.Error(err)
	}
}
