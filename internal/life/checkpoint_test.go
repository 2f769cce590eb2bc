package life

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/criu"
	"github.com/hutch-project/hutch/tests/criutest"
	"github.com/hutch-project/hutch/tests/testwait"
)

// criuWorld is a world with a CRIU that speaks the protocol and makes nothing up but that.
type criuWorld struct {
	*world
	path, images string
}

func newCRIUWorld(t *testing.T, b *criutest.Behaviour, change func(*specs.Spec)) *criuWorld {
	t.Helper()
	needRoot(t)
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
		s.Annotations = map[string]string{criuConfig: "/etc/criu/mine.conf"}
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
	if _, err := readOutside(first); err == nil || !strings.Contains(err.Error(), "--pre-dump") {
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

// killStray ends the process that a CRIU of a test which died could not end.
func killStray(t *testing.T, path string) {
	t.Helper()
	if text, err := os.ReadFile(filepath.Join(path, criutest.Child)); err == nil {
		pid, _ := strconv.Atoi(string(text))
		if n, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); err == nil && n == 0 {
			t.Errorf("the restored process %d is left", pid)
			_ = unix.Kill(pid, unix.SIGKILL)
		}
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
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestRestoreKilledAtEachPhase$")
		cmd.Env = append(os.Environ(), "HUTCH_TEST_RESTORE_AT="+strconv.Itoa(k), "HUTCH_TEST_BUNDLE="+w.bundle, "HUTCH_TEST_ROOT="+w.r.Root,
			"HUTCH_TEST_ID="+w.id, "HUTCH_TEST_IMAGES="+w.images, "PATH="+w.path)
		log, err := os.Create(filepath.Join(t.TempDir(), "log"))
		must(t, err)
		cmd.Stdout, cmd.Stderr = log, log
		err = cmd.Run()
		out, _ := os.ReadFile(log.Name())
		log.Close()
		if cmd.ProcessState.ExitCode() == 0 {
			break
		}
		if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signal() != syscall.SIGKILL {
			t.Fatalf("phase %d: %v\n%s", k, err, out)
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

// TestHostileDestinations: whatever a mount point is called, and wherever links of the image
// lead, CRIU's keys are numbers, and each leads to the source that the bundle has for it.
func TestHostileDestinations(t *testing.T) {
	sources := t.TempDir()
	names := []string{"/a", "/a]", "/a:", "/a,b", "/a]\n", "/[b]", "/a]x:hutch1", "/ ]: "[:3], "/link/c", "/up/d", "/deep/e/f]"}
	outside := t.TempDir()
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(s *specs.Spec) {
		for i, name := range names {
			source := filepath.Join(sources, strconv.Itoa(i))
			must(t, os.Mkdir(source, 0o755))
			s.Mounts = append(s.Mounts, specs.Mount{Destination: name, Type: "bind", Source: source, Options: []string{"rbind", "rprivate"}})
		}
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/up", Type: "tmpfs", Source: "tmpfs"})
	})
	root := filepath.Join(w.bundle, "rootfs")
	must(t, os.RemoveAll(filepath.Join(root, "link")))
	must(t, os.MkdirAll(filepath.Join(root, "place"), 0o755))
	must(t, os.Symlink("../../../place", filepath.Join(root, "link")))
	w.start()
	must(t, w.checkpoint(func(*DumpOptions) {}))
	reapAll(t)
	// The image changes its links between checkpoint and restore: they lead to the host.
	must(t, os.Symlink(outside, filepath.Join(root, "new")))
	must(t, w.restore(func(*RestoreOptions) {}))
	r := criutest.Requests(t, w.path)
	keys := map[string]string{} // from CRIU's point of view: by the point in the container
	for _, e := range r[0].Strings[criutest.External] {
		point, key, ok := strings.Cut(strings.TrimPrefix(e, "mnt["), "]:")
		if _, number := criu.KeyNumber(key); !ok || !number {
			if !criu.IsStream(e) {
				t.Errorf("%q is no key", e)
			}
			continue
		}
		keys[point] = key
	}
	staged := criu.ParseMounts(r[1].Mounts)
	for i, name := range names {
		point := filepath.Clean(name)
		if name == "/link/c" {
			point = "/place/c"
		}
		if name == "/up/d" { // covered by the tmpfs that comes later
			continue
		}
		path := ""
		for _, e := range r[1].Strings[criutest.External] {
			if rest, ok := strings.CutPrefix(e, "mnt["+keys[point]+"]:"); ok && keys[point] != "" {
				path = rest
			}
		}
		at := slices.IndexFunc(staged, func(m criu.Mount) bool { return m.Point == path })
		if at < 0 || !strings.HasSuffix(staged[at].Root, fmt.Sprintf("%s/%d", filepath.Base(sources), i)) {
			t.Errorf("%q has the key %q, and that %q", point, keys[point], path)
		}
	}
	if left, _ := os.ReadDir(outside); len(left) > 0 {
		t.Errorf("something was made outside: %v", left)
	}
	w.end()
}

// TestDestinationThatIsTwo: CRIU would take a part of the name for its end.
func TestDestinationThatIsTwo(t *testing.T) {
	source := t.TempDir()
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/a]:hutch0", Type: "bind", Source: source, Options: []string{"bind"}})
	})
	w.start()
	if err := w.checkpoint(func(*DumpOptions) {}); err == nil || !strings.Contains(err.Error(), "/a]:hutch0") {
		t.Errorf("got %v", err)
	}
	if n := len(criutest.Requests(t, w.path)); n != 0 {
		t.Errorf("CRIU was asked")
	}
	w.end()
}

// TestRestoreOfOtherMounts: a key that the bundle has no source for is refused by its name,
// and one that is no key is not handed on.
func TestRestoreOfOtherMounts(t *testing.T) {
	source := t.TempDir()
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(*specs.Spec) {})
	w.start()
	must(t, w.checkpoint(func(*DumpOptions) {}))
	reapAll(t)
	out, err := readOutside(w.images)
	must(t, err)
	for _, m := range []outsideMount{{"hutch90", "/etc", ""}, {"hutch90", source, ""}, {"x]:/", "/etc", ""}, {"hutch90", "/proc/kcore/../../etc", ""}, {"hutch90", "../..", ""}} {
		bad := *out
		bad.Mounts = append(slices.Clone(out.Mounts), m)
		must(t, bad.save(w.images))
		if err := w.restore(func(*RestoreOptions) {}); err == nil || !strings.Contains(err.Error(), "which the bundle has no source for") && !strings.Contains(err.Error(), "is no key") {
			t.Errorf("%+v: got %v", m, err)
		}
		reapAll(t)
		w.checkNothingLeft(fmt.Sprint(m))
	}
	bad := *out
	bad.Streams[0] = "file[1:2]:/etc/shadow"
	must(t, bad.save(w.images))
	if err := w.restore(func(*RestoreOptions) {}); err == nil || !strings.Contains(err.Error(), "is no stream") {
		t.Errorf("got %v", err)
	}
}

// TestJoinedNamespaces: of a pod's namespaces CRIU gets descriptors, and the keys of those
// that are not in the images.
func TestJoinedNamespaces(t *testing.T) {
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(s *specs.Spec) {
		for i := range s.Linux.Namespaces {
			n := &s.Linux.Namespaces[i]
			switch n.Type {
			case specs.NetworkNamespace:
				n.Path = "/proc/self/ns/net"
			case specs.IPCNamespace:
				n.Path = "/proc/self/ns/ipc"
			}
		}
		s.Linux.Sysctl = nil
	})
	w.start()
	must(t, w.checkpoint(func(*DumpOptions) {}))
	reapAll(t)
	must(t, w.restore(func(*RestoreOptions) {}))
	r := criutest.Requests(t, w.path)
	var st unix.Stat_t
	must(t, unix.Stat("/proc/self/ns/net", &st))
	dumped := slices.ContainsFunc(r[0].Strings[criutest.External], func(e string) bool {
		return strings.HasPrefix(e, fmt.Sprintf("net[%d]:hutch", st.Ino))
	})
	inherited := slices.ContainsFunc(r[1].Strings[criutest.InheritFd], func(m string) bool {
		key, _ := criutest.Pair(m)
		_, ok := criu.KeyNumber(key)
		return ok
	})
	kind, file := criutest.Pair(append(r[1].Strings[criutest.JoinNS], "")[0])
	if !dumped || !inherited || kind != "ipc" || !strings.HasPrefix(file, "/proc/") {
		t.Errorf("dumped %v, inherited %v, joined %s %s", dumped, inherited, kind, file)
	}
	w.end()
	if _, err := joinable("user"); err == nil || !strings.Contains(err.Error(), "linux.namespaces: the user namespace is joined") {
		t.Errorf("got %v", err)
	}
}

// TestRestoreIsProven: a process that is not confined as the configuration says does not go
// on, and nothing of it is left.
func TestRestoreIsProven(t *testing.T) {
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(*specs.Spec) {})
	w.start()
	must(t, w.checkpoint(func(*DumpOptions) {}))
	reapAll(t)
	testUnproven = false
	if err := w.restore(func(*RestoreOptions) {}); err == nil || !strings.Contains(err.Error(), "is not confined as config.json says: ") {
		t.Errorf("got %v", err)
	}
	killStray(t, w.path)
	reapAll(t)
	w.checkNothingLeft("a restore that was refused")
}

// TestProof: a container of the configuration passes, and each thing that a checkpoint could
// have left out is found.
func TestProof(t *testing.T) {
	needRoot(t)
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 0, Size: 65536}}
	w := newWorld(t, func(s *specs.Spec) {
		s.Process.NoNewPrivileges = false
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings, s.Linux.GIDMappings = ids, ids
		s.Linux.Seccomp = nil
		s.Root.Readonly = false
		s.Process.Args = []string{"sh", "-c", "while :; do sleep 1000; done"}
	})
	must(t, w.r.Create(w.options()))
	must(t, w.r.Start(w.id, &StartOptions{}))
	state, err := w.r.State(w.id)
	must(t, err)
	prove := func(change func(*specs.Spec)) error {
		b, err := w.r.readBundle(w.bundle, "", nil)
		must(t, err)
		change(b.spec)
		p := &restoredProof{spec: b.spec, pid: state.Pid}
		if err := p.namespaces(); err != nil {
			return err
		}
		if err := p.root(); err != nil {
			return err
		}
		return p.process(state.Pid)
	}
	if err := prove(func(*specs.Spec) {}); err != nil {
		t.Errorf("as it was made: %v", err)
	}
	for want, change := range map[string]func(*specs.Spec){
		"linux.namespaces[0]: it is not in": func(s *specs.Spec) { s.Linux.Namespaces[0].Path = "/proc/self/ns/pid" },
		"has the host's time namespace": func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
		},
		"linux.uidMappings: it has the ids": func(s *specs.Spec) {
			s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 0, Size: 10}}
		},
		"linux.gidMappings: it has the ids": func(s *specs.Spec) {
			s.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1, Size: 65536}}
		},
		"root.readonly: / is writable":                  func(s *specs.Spec) { s.Root.Readonly = true },
		"is writable":                                   func(s *specs.Spec) { s.Mounts[1].Options = append(s.Mounts[1].Options, "ro") },
		"linux.maskedPaths: /proc/uptime is not masked": func(s *specs.Spec) { s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/proc/uptime") },
		"linux.maskedPaths: /bin is not masked":         func(s *specs.Spec) { s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/bin") },
		"linux.readonlyPaths: /bin is writable":         func(s *specs.Spec) { s.Linux.ReadonlyPaths = append(s.Linux.ReadonlyPaths, "/none", "/bin") },
		"linux.seccomp: process":                        func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{} },
		"process.noNewPrivileges: process":              func(s *specs.Spec) { s.Process.NoNewPrivileges = true },
		"process.capabilities: process":                 func(s *specs.Spec) { s.Process.Capabilities = &specs.LinuxCapabilities{} },
		"label":                                         func(s *specs.Spec) { s.Process.SelinuxLabel = "a:b:c:d" },
	} {
		if err := prove(change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	must(t, w.r.Delete(w.id, true))
	reapAll(t)
}

func TestPageServer(t *testing.T) {
	for value, want := range map[string]string{"1.2.3.4:5": "1.2.3.4", "[::1]:5": "::1", "host:5": "host", "::1:5": "", ":5": "", "h:": "", "h:0": "", "h:65536": "", "[::1:5": ""} {
		got, port, err := pageServer(value)
		if got != want || err == nil && port != 5 || (err == nil) != (want != "") {
			t.Errorf("%s: got %s, %d, %v", value, got, port, err)
		}
	}
}
