package life

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/features"
	"github.com/hutch-project/hutch/internal/host/criu"
	"github.com/hutch-project/hutch/tests/criutest"
	"github.com/hutch-project/hutch/tests/testneed"
	"github.com/hutch-project/hutch/tests/testplain"
	"github.com/hutch-project/hutch/tests/testpty"
	"github.com/hutch-project/hutch/tests/testwait"
)

// criuWorld is a world with a CRIU that speaks the protocol and makes nothing up but that.
type criuWorld struct {
	*world
	path, images string
}

func newCRIUWorld(t *testing.T, b *criutest.Behaviour, change func(*specs.Spec)) *criuWorld {
	t.Helper()
	testneed.Root(t)
	must(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	testUnproven = true
	t.Cleanup(func() { testUnproven = false })
	path := criutest.Install(t, b)
	images := filepath.Join(t.TempDir(), "images")
	return &criuWorld{newWorld(t, func(s *specs.Spec) {
		s.Process.Args = []string{"sh", "-c", "while :; do sleep 1000; done"}
		change(s)
	}), path, images}
}

func (w *criuWorld) criu() CheckpointOptions {
	return CheckpointOptions{ImagePath: w.images, Path: w.path}
}

// start runs the container in the background.
func (w *criuWorld) start() {
	w.t.Helper()
	must(w.t, w.r.Create(w.options()))
	must(w.t, w.r.Start(w.id, &StartOptions{}))
}

func (w *criuWorld) checkpoint(change func(*DumpOptions)) error {
	o := &DumpOptions{CheckpointOptions: w.criu(), StatusFd: -1}
	change(o)
	return w.r.Checkpoint(w.id, o)
}

func (w *criuWorld) restore(change func(*RestoreOptions)) error {
	o := &RestoreOptions{CreateOptions: *w.options(), CheckpointOptions: w.criu()}
	o.Detach, o.NoReaper = true, true
	change(o)
	_, err := w.r.Restore(o)
	return err
}

func (w *criuWorld) status() Status {
	w.t.Helper()
	s, err := w.r.State(w.id)
	must(w.t, err)
	return s.Status
}

func (w *criuWorld) end() {
	w.t.Helper()
	must(w.t, w.r.Delete(w.id, true))
	reapAll(w.t)
	w.checkNothingLeft("the end")
}

// TestCheckpointAndRestore: the container is gone after the checkpoint, and a full one after
// the restore, in its cgroups, with its record, hooks and keys.
func TestCheckpointAndRestore(t *testing.T) {
	hooks := filepath.Join(t.TempDir(), "hooks")
	hook := func(name string) []specs.Hook {
		return []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo " + name + " >>" + hooks}}}
	}
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(s *specs.Spec) {
		s.Annotations = map[string]string{features.CRIUConfig: "/etc/criu/mine.conf"}
		s.Hooks = &specs.Hooks{CreateRuntime: hook("createRuntime"), CreateContainer: hook("createContainer"), Poststart: hook("poststart"), Poststop: hook("poststop")}
	})
	w.start()
	must(t, os.Remove(hooks))
	must(t, w.checkpoint(func(*DumpOptions) {}))
	reapAll(t)
	w.checkNothingLeft("the checkpoint")
	must(t, w.restore(func(o *RestoreOptions) { o.PidFile = filepath.Join(w.bundle, "pid") }))
	state, err := w.r.State(w.id)
	must(t, err)
	pid, _ := os.ReadFile(filepath.Join(w.bundle, "pid"))
	child, _ := os.ReadFile(filepath.Join(w.path, criutest.Child))
	if state.Status != Running || strconv.Itoa(state.Pid) != string(child) || string(pid) != string(child) {
		t.Errorf("state %+v, pid file %s, want running process %s", state, pid, child)
	}
	cgroup, err := os.ReadFile("/proc/" + string(child) + "/cgroup")
	if err != nil || !strings.Contains(string(cgroup), "/"+w.id) {
		t.Errorf("it is in %s, %v", cgroup, err)
	}
	must(t, w.r.Pause(w.id))
	if s := w.status(); s != Paused {
		t.Errorf("paused, it is %s", s)
	}
	must(t, w.r.Resume(w.id))
	c, err := w.r.open(w.id, false)
	must(t, err)
	if !strings.Contains(c.rec.Process, "while :") || c.rec.KeyringSerial == 0 {
		t.Errorf("record %+v", c.rec)
	}
	c.close()
	w.end()
	want := "poststop\ncreateRuntime\ncreateContainer\npoststart\npoststop\n"
	if got, _ := os.ReadFile(hooks); string(got) != want {
		t.Errorf("hooks: %q, want %q", got, want)
	}
	for _, r := range criutest.Requests(t, w.path) {
		if r.Strings[51][0] != "/etc/criu/mine.conf" {
			t.Errorf("configuration %q", r.Strings[51])
		}
	}
}

// TestRestoreHandsOver: a restored container gets its network devices, its pidfd goes to who
// asks for it, and the caller's service manager is told that it is ready, which its process
// has said before the checkpoint.
func TestRestoreHandsOver(t *testing.T) {
	device := "h" + testplain.RandomWord()[:8]
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %q: %v: %s", args, err, out)
		}
	}
	link := func() { t.Helper(); ip("link", "add", device, "type", "veth", "peer", "name", device+"p") }
	gone := func() {
		t.Helper()
		testwait.Until(t, "the device has gone with its namespace", func() bool {
			return exec.Command("ip", "link", "show", device+"p").Run() != nil
		})
	}
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", device+"p").Run() })
	link()
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(s *specs.Spec) {
		s.Linux.NetDevices = map[string]specs.LinuxNetDevice{device: {Name: "eth7"}}
	})
	dir := t.TempDir()
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: dir + "/notify", Net: "unixgram"})
	must(t, err)
	receiver, err := net.ListenUnix("unix", &net.UnixAddr{Name: dir + "/pidfd", Net: "unix"})
	must(t, err)

	gone() // with the container that the world begins with
	link()
	o := w.options()
	o.NotifySocket = dir + "/notify"
	must(t, w.r.Create(o))
	must(t, w.r.Start(w.id, &StartOptions{}))
	must(t, w.checkpoint(func(*DumpOptions) {}))
	reapAll(t)
	gone()
	link()
	done := make(chan error, 1)
	go func() {
		done <- w.restore(func(o *RestoreOptions) { o.NotifySocket, o.PidfdSocket = dir+"/notify", dir+"/pidfd" })
	}()
	must(t, manager.SetDeadline(testwait.Deadline()))
	must(t, receiver.SetDeadline(testwait.Deadline()))
	var told string
	for range 3 { // the third message is a barrier, which ends when its descriptor is closed
		data, rights := make([]byte, 100), make([]byte, 100)
		n, r, _, _, err := manager.ReadMsgUnix(data, rights)
		must(t, err)
		told += string(data[:n])
		for _, fd := range rightsOf(t, rights[:r]) {
			unix.Close(fd)
		}
	}
	must(t, <-done)
	child, _ := os.ReadFile(filepath.Join(w.path, criutest.Child))
	if want := "READY=1\nMAINPID=" + string(child) + "\nBARRIER=1\n"; strings.TrimSpace(told) != strings.TrimSpace(want) {
		t.Errorf("the service manager is told %q, want %q", told, want)
	}
	conn, err := receiver.AcceptUnix()
	must(t, err)
	data, rights := make([]byte, 100), make([]byte, 100)
	_, r, _, _, err := conn.ReadMsgUnix(data, rights)
	must(t, err)
	fds := rightsOf(t, rights[:r])
	if len(fds) != 1 {
		t.Fatalf("%d descriptors", len(fds))
	}
	if info, _ := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fds[0])); !strings.Contains(string(info), "Pid:\t"+string(child)+"\n") {
		t.Errorf("not init's pidfd: %s", info)
	}
	if text, _ := os.ReadFile("/proc/" + string(child) + "/net/dev"); !strings.Contains(string(text), "eth7:") {
		t.Errorf("its network devices:\n%s", text)
	}
	unix.Close(fds[0])
	for _, c := range []io.Closer{conn, receiver, manager} { // the world counts descriptors
		must(t, c.Close())
	}
	w.end()
}

// rightsOf returns the descriptors of a message's control data.
func rightsOf(t *testing.T, control []byte) (fds []int) {
	t.Helper()
	messages, err := unix.ParseSocketControlMessage(control)
	must(t, err)
	for i := range messages {
		got, err := unix.ParseUnixRights(&messages[i])
		must(t, err)
		fds = append(fds, got...)
	}
	return fds
}

// TestCheckpointStays: with --leave-running and --pre-dump the container goes on.
func TestCheckpointStays(t *testing.T) {
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(*specs.Spec) {})
	w.start()
	must(t, w.checkpoint(func(o *DumpOptions) { o.PreDump = true }))
	first := w.images
	w.images = filepath.Join(filepath.Dir(first), "second")
	must(t, w.checkpoint(func(o *DumpOptions) { o.LeaveRunning, o.ParentPath = true, "../images" }))
	if s := w.status(); s != Running {
		t.Errorf("it is %s", s)
	}
	r := criutest.Requests(t, w.path)
	if r[0].Kind != criutest.PreDump || r[0].Numbers[15] == nil || r[1].Kind != criutest.Dump || r[1].Strings[14][0] != "../images" || r[1].Numbers[15] == nil {
		t.Errorf("requests %+v", r)
	}
	if _, err := readOutsideAt(t, first); err == nil || !strings.Contains(err.Error(), "--pre-dump") {
		t.Errorf("a pre-dump is restored: %v", err)
	}
	w.end()
}

// TestCheckpointRefuses: what cannot be is refused by name, and the container goes on.
func TestCheckpointRefuses(t *testing.T) {
	w := newCRIUWorld(t, &criutest.Behaviour{Version: [3]int{3, 15, 0}, NoFeatures: true}, func(*specs.Spec) {})
	must(t, w.r.Create(w.options()))
	if err := w.checkpoint(func(*DumpOptions) {}); err == nil || !strings.Contains(err.Error(), "Container cannot be checkpointed in created state") {
		t.Errorf("created: %v", err)
	}
	must(t, w.r.Start(w.id, &StartOptions{}))
	for want, change := range map[string]func(*DumpOptions){
		"--manage-cgroups-mode: \"x\"":            func(o *DumpOptions) { o.ManageCgroups = "x" },
		"--network-lock: \"x\"":                   func(o *DumpOptions) { o.NetworkLock = "x" },
		"--network-lock needs CRIU 3.17 or newer": func(o *DumpOptions) { o.NetworkLock = "skip" },
		"namespace \"pid\" is not supported":      func(o *DumpOptions) { o.EmptyNS = []string{"pid"} },
		"Use --page-server ADDRESS:PORT":          func(o *DumpOptions) { o.PageServer = "1.2.3.4" },
		"invalid --status-fd argument 987":        func(o *DumpOptions) { o.StatusFd = 987 },
		"--parent-path must be relative":          func(o *DumpOptions) { o.ParentPath = "/x" },
		"CONFIG_MEM_SOFT_DIRTY":                   func(o *DumpOptions) { o.PreDump = true },
		"CONFIG_USERFAULTFD":                      func(o *DumpOptions) { o.LazyPages = true },
	} {
		if want == "--parent-path must be relative" {
			criutest.Change(t, w.path, &criutest.Behaviour{})
		} else {
			criutest.Change(t, w.path, &criutest.Behaviour{Version: [3]int{3, 15, 0}, NoFeatures: true})
		}
		if err := w.checkpoint(change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if n := len(criutest.Requests(t, w.path)); n != 0 {
		t.Errorf("CRIU was asked for %d dumps", n)
	}
	if s := w.status(); s != Running {
		t.Errorf("it is %s", s)
	}
	w.end()
}

// TestCheckpointFails: whatever CRIU does, the container runs on, thawed, and the error has
// the log.
func TestCheckpointFails(t *testing.T) {
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(*specs.Spec) {})
	w.start()
	for _, at := range []string{"request", "pre-dump", "network-lock", "post-dump"} {
		for _, do := range []string{"die", "garbage", "fail"} {
			criutest.Change(t, w.path, &criutest.Behaviour{At: at, Do: do, Log: "(0.1) Error (criu/x.c:1): Some file locks are hold\n"})
			testFreeze = func(c *container) { must(t, c.cg.Freeze()) } // as CRIU does, and one that dies leaves it
			err := w.checkpoint(func(*DumpOptions) {})
			testFreeze = nil
			if err == nil || do != "garbage" && (!strings.Contains(err.Error(), "--file-locks") || !strings.Contains(err.Error(), w.images+"/dump.log")) {
				t.Errorf("%s at %s: %v", do, at, err)
			}
			if s := w.status(); s != Running {
				t.Errorf("%s at %s: it is %s", do, at, s)
			}
		}
	}
	criutest.Change(t, w.path, &criutest.Behaviour{At: "request", Do: "fail", NoKernel: true})
	if err := w.checkpoint(func(*DumpOptions) {}); err == nil || !strings.Contains(err.Error(), "this kernel do not go together, as by criu check: ") || !strings.Contains(err.Error(), "the kernel is odd") {
		t.Errorf("got %v", err)
	}
	w.end()
}

// TestRestoreFails: whatever CRIU does, nothing is left.
func TestRestoreFails(t *testing.T) {
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(*specs.Spec) {})
	w.start()
	must(t, w.checkpoint(func(*DumpOptions) {}))
	reapAll(t)
	for _, at := range []string{"start", "request", "setup-namespaces", "post-restore", "post-resume", "end"} {
		for _, do := range []string{"die", "garbage", "fail", "lie", "other"} {
			if do == "lie" && at != "setup-namespaces" && at != "post-restore" || do == "other" && at != "end" {
				continue
			}
			t.Logf("%s at %s", do, at)
			criutest.Change(t, w.path, &criutest.Behaviour{At: at, Do: do, Log: ""})
			if err := w.restore(func(*RestoreOptions) {}); err == nil || !strings.HasPrefix(err.Error(), "restore "+w.id+": ") {
				t.Errorf("%s at %s: %v", do, at, err)
			}
			killStray(t, w.path)
			reapAll(t)
			w.checkNothingLeft(do + " at " + at)
		}
	}
	criutest.Change(t, w.path, &criutest.Behaviour{Terminal: true})
	if err := w.restore(func(*RestoreOptions) {}); err == nil || !strings.Contains(err.Error(), "give --console-socket") {
		t.Errorf("a terminal: %v", err)
	}
	reapAll(t)
	w.checkNothingLeft("a terminal")
	for want, change := range map[string]func(*RestoreOptions){
		"--no-pivot: CRIU":             func(o *RestoreOptions) { o.NoPivot = true },
		"--image-path":                 func(o *RestoreOptions) { o.ImagePath = "/none" },
		"has no hutch.json":            func(o *RestoreOptions) { o.ImagePath = t.TempDir() },
		"criu is not installed":        func(o *RestoreOptions) { o.Path = "/none" },
		"--manage-cgroups-mode: \"x\"": func(o *RestoreOptions) { o.ManageCgroups = "x" },
		"config.json":                  func(o *RestoreOptions) { o.Bundle = t.TempDir() },
	} {
		criutest.Change(t, w.path, &criutest.Behaviour{})
		if err := w.restore(change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		w.checkNothingLeft(want)
	}
}

// killStray waits for the end of the process that a CRIU of a test which died could not end:
// it is killed by then, and out of its cgroup, but may still be about to die.
func killStray(t *testing.T, path string) {
	t.Helper()
	if text, err := os.ReadFile(filepath.Join(path, criutest.Child)); err == nil {
		pid, _ := strconv.Atoi(string(text))
		testwait.End(t, "the restored process", pid)
		_ = os.Remove(filepath.Join(path, criutest.Child))
	}
}

// TestRestoreKilledAtEachPhase ends restore with SIGKILL at each phase and at each of CRIU's
// steps; delete --force then takes all back.
func TestRestoreKilledAtEachPhase(t *testing.T) {
	if k := os.Getenv("HUTCH_TEST_RESTORE_AT"); k != "" {
		testUnproven = true
		n, _ := strconv.Atoi(k)
		testPhase = func(string) {
			if n--; n == 0 {
				_ = unix.Kill(unix.Getpid(), unix.SIGKILL)
				select {}
			}
		}
		r := &Runtime{Root: os.Getenv("HUTCH_TEST_ROOT")}
		o := &RestoreOptions{CreateOptions: CreateOptions{ID: os.Getenv("HUTCH_TEST_ID"), Bundle: os.Getenv("HUTCH_TEST_BUNDLE"), Detach: true, NoReaper: true}}
		o.CheckpointOptions = CheckpointOptions{ImagePath: os.Getenv("HUTCH_TEST_IMAGES"), Path: os.Getenv("PATH")}
		if _, err := r.Restore(o); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(*specs.Spec) {})
	w.start()
	must(t, w.checkpoint(func(*DumpOptions) {}))
	reapAll(t)
	killed := 0
	for k := 1; ; k++ {
		_, done := killedAtPhase(t, k, "TestRestoreKilledAtEachPhase", "HUTCH_TEST_RESTORE_AT="+strconv.Itoa(k),
			"HUTCH_TEST_BUNDLE="+w.bundle, "HUTCH_TEST_ROOT="+w.r.Root, "HUTCH_TEST_ID="+w.id, "HUTCH_TEST_IMAGES="+w.images, "PATH="+w.path)
		if done {
			break
		}
		killed++
		if err := w.r.Delete(w.id, true); err != nil {
			t.Errorf("killed at phase %d: %v", k, err)
		}
		reapAll(t)
		w.checkNothingLeft("killed at phase " + strconv.Itoa(k))
	}
	w.end()
	if killed < 12 {
		t.Errorf("only %d restores were killed", killed)
	}
}

// TestRestoreThatHangs: delete --force ends it.
func TestRestoreThatHangs(t *testing.T) {
	for _, at := range []string{"request", "post-restore"} {
		w := newCRIUWorld(t, &criutest.Behaviour{}, func(*specs.Spec) {})
		w.start()
		must(t, w.checkpoint(func(*DumpOptions) {}))
		reapAll(t)
		criutest.Change(t, w.path, &criutest.Behaviour{At: at, Do: "hang"})
		done := make(chan error)
		go func() { done <- w.restore(func(*RestoreOptions) {}) }()
		hangs := func() bool { _, err := os.Stat(filepath.Join(w.path, "hangs")); return err == nil }
		testwait.Poll(t, func() string { return "CRIU to hang" }, hangs)
		must(t, w.r.Delete(w.id, true))
		if err := testwait.Value(t, "the end of the restore", done); err == nil {
			t.Errorf("%s: it has succeeded", at)
		}
		reapAll(t)
		w.checkNothingLeft("a restore that hung at " + at)
	}
}

// TestCheckpointWarnsOfExecs: what exec has started is not init's child, and not in the
// checkpoint.
func TestCheckpointWarnsOfExecs(t *testing.T) {
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(*specs.Spec) {})
	w.start()
	var warnings []string
	w.r.Warn = func(text string) { warnings = append(warnings, text) }
	must(t, w.checkpoint(func(o *DumpOptions) { o.LeaveRunning = true }))
	if len(warnings) > 0 {
		t.Errorf("without an exec: %q", warnings)
	}
	pidFile := filepath.Join(t.TempDir(), "pid")
	_, err := w.r.Exec(w.id, &ExecOptions{Change: func(p *specs.Process) { p.Args = []string{"sh", "-c", "exec sleep 1000"} }, Detach: true, PidFile: pidFile})
	must(t, err)
	pid, err := os.ReadFile(pidFile)
	must(t, err)
	must(t, w.checkpoint(func(o *DumpOptions) { o.LeaveRunning = true }))
	if want := "are not in the checkpoint: " + string(pid) + " ("; len(warnings) != 1 || !strings.Contains(warnings[0], want) {
		t.Errorf("warnings %q, want %q", warnings, want)
	}
	child, _ := strconv.Atoi(string(pid))
	must(t, unix.Kill(child, unix.SIGKILL))
	_, err = unix.Wait4(child, nil, 0, nil)
	must(t, err)
	w.end()
}

// TestCheckpointOfACallersTerminal: it is refused by its name without --shell-job, and with it
// CRIU has a key for it, by which restore hands on its own.
func TestCheckpointOfACallersTerminal(t *testing.T) {
	_, slave := testpty.Open(t) // first: the world counts descriptors
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(*specs.Spec) {})
	var st unix.Stat_t
	must(t, unix.Stat(slave.Name(), &st))
	w.startWith(slave.Name())
	err := w.checkpoint(func(*DumpOptions) {})
	if want := "a standard stream is a terminal of the caller's; give --shell-job"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	if s := w.status(); s != Running {
		t.Errorf("it is %s", s)
	}
	must(t, w.checkpoint(func(o *DumpOptions) { o.ShellJob = true }))
	reapAll(t)
	must(t, w.restore(func(o *RestoreOptions) { o.ShellJob = true }))
	r, key := criutest.Requests(t, w.path), criu.DumpTerminal(uint64(st.Rdev), uint64(st.Dev))
	handed := slices.ContainsFunc(r[1].Strings[criutest.InheritFd], func(m string) bool {
		got, _ := criutest.Pair(m)
		return got == key
	})
	if !slices.Contains(r[0].Strings[criutest.External], key) || !handed {
		t.Errorf("no %s in %q and %q", key, r[0].Strings[criutest.External], r[1].Strings[criutest.InheritFd])
	}
	w.end()
}
