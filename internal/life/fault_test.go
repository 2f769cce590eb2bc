package life

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
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

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/template"
	"github.com/hutch-project/hutch/tests/testneed"
	"github.com/hutch-project/hutch/tests/testplain"
	"github.com/hutch-project/hutch/tests/testwait"
)

// odd is an errno that no instruction has a way out for.
const odd = unix.EUCLEAN

// TestEachInstructionFails makes each instruction of real creates fail, one
// after the other: the error names the element and the reason, and nothing is
// left. With -short it is every third, by turns of the configurations.
func TestEachInstructionFails(t *testing.T) {
	testneed.Root(t)
	failed, tolerated := 0, 0
	configs := faultConfigs()
	for turn, name := range slices.Sorted(maps.Keys(configs)) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, configs[name])
			p := w.program()
			for _, s := range []struct {
				parent bool
				code   []program.Instr
			}{{true, p.Program.Parent}, {false, p.Program.Child}} {
				for pc := range s.code {
					if testing.Short() && (pc+turn)%3 != 0 {
						continue
					}
					want := p.Program.Note(&s.code[pc])
					err := w.createWithFault(&program.Fault{Parent: s.parent, PC: pc, Errno: odd})
					if err == nil {
						tolerated++
					} else if !s.parent && pc >= p.Start && (errors.Is(err, ErrStopped) || errors.Is(err, ErrRunning)) {
						failed++ // init was gone before start came
					} else if failed++; !strings.Contains(err.Error(), want.Element.String()) || s.code[pc].OnErr != program.Next && !strings.Contains(err.Error(), odd.Error()) {
						// (after a call whose error is passed over, a later one tells of it)
						t.Errorf("instruction %d (%s): the error is %v", pc, want, err)
					}
					w.checkNothingLeft(fmt.Sprintf("instruction %d (%s)", pc, want))
				}
			}
		})
	}
	t.Logf("instructions made to fail: %d gave an error with the right element, %d have a way on", failed, tolerated)
	if failed < 100 {
		t.Errorf("only %d instructions gave an error", failed)
	}
}

// TestCreateKilledAtEachPhase ends create with SIGKILL at each phase of the
// parent and at each message of init; delete --force then takes all back.
func TestCreateKilledAtEachPhase(t *testing.T) {
	testneed.Root(t)
	if k := os.Getenv("HUTCH_TEST_KILL_AT"); k != "" {
		killedCreate(k)
		return
	}
	must(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	killed := 0
	for name, change := range faultConfigs() {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, change)
			for k := 1; ; k++ {
				_, done := killedAtPhase(t, k, "TestCreateKilledAtEachPhase", "HUTCH_TEST_KILL_AT="+strconv.Itoa(k),
					"HUTCH_TEST_BUNDLE="+w.bundle, "HUTCH_TEST_ROOT="+w.r.Root, "HUTCH_TEST_ID="+w.id)
				if done {
					must(t, w.r.Delete(w.id, true))
					reapAll(t)
					break
				}
				killed++
				if err := w.r.Delete(w.id, true); err != nil {
					t.Errorf("killed at phase %d: %v", k, err)
				}
				reapAll(t)
				w.checkNothingLeft("killed at phase " + strconv.Itoa(k))
			}
		})
	}
	t.Logf("creates killed: %d, all taken back by delete --force", killed)
	if killed < 20 {
		t.Errorf("only %d creates were killed", killed)
	}
}

// killedAtPhase runs a test of this binary as a process of its own, which kills itself at
// its k-th phase, and returns what it has printed. done reports that it has come to its end
// before.
func killedAtPhase(t *testing.T, k int, test string, env ...string) (out string, done bool) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+test+"$")
	cmd.Env = append(os.Environ(), env...)
	log, err := os.Create(filepath.Join(t.TempDir(), "log")) // no pipe: init keeps it open
	must(t, err)
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	err = cmd.Run()
	text, _ := os.ReadFile(log.Name())
	if cmd.ProcessState.ExitCode() == 0 {
		return string(text), true
	}
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signal() != syscall.SIGKILL {
		t.Fatalf("phase %d: %v\n%s", k, err, text)
	}
	return string(text), false
}

// killedCreate is the process that is killed at its k-th phase.
func killedCreate(k string) {
	n, _ := strconv.Atoi(k)
	testPhase = func(string) {
		if n--; n == 0 {
			_ = unix.Kill(unix.Getpid(), unix.SIGKILL)
			select {}
		}
	}
	r := &Runtime{Root: os.Getenv("HUTCH_TEST_ROOT")}
	err := r.Create(&CreateOptions{ID: os.Getenv("HUTCH_TEST_ID"), Bundle: os.Getenv("HUTCH_TEST_BUNDLE")})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	os.Exit(0)
}

// faultConfigs are the configurations whose programs are gone through.
func faultConfigs() map[string]func(*specs.Spec) {
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 0, Size: 65536}}
	return map[string]func(*specs.Spec){
		"default": func(*specs.Spec) {},
		"user namespace, hooks, everything": func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace}, specs.LinuxNamespace{Type: specs.TimeNamespace})
			s.Linux.UIDMappings, s.Linux.GIDMappings = ids, ids
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 5}}
			s.Linux.Sysctl = map[string]string{"kernel.msgmax": "4096"}
			s.Linux.RootfsPropagation = "rprivate"
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/pipe", Type: "p"}}
			s.Process.User = specs.User{UID: 1000, GID: 1000, AdditionalGids: []uint32{5}}
			s.Process.Cwd = "/made/here"
			s.Process.Capabilities.Ambient = []string{"CAP_KILL"}
			s.Process.Capabilities.Inheritable = []string{"CAP_KILL"}
			s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/true"}}, CreateContainer: []specs.Hook{{Path: "/bin/true"}}}
			s.Mounts = append(s.Mounts,
				specs.Mount{Destination: "/a/b/c", Type: "bind", Source: "/etc/hostname", Options: []string{"bind", "ro", "rprivate"}},
				specs.Mount{Destination: "/up", Type: "tmpfs", Source: "tmpfs", Options: []string{"tmpcopyup", "ro"}})
		},
	}
}

// world is a bundle and a state directory, and what the host had before.
type world struct {
	t          *testing.T
	r          *Runtime
	id, bundle string
	mounts     string
	fds        int
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newWorld lays out a bundle with busybox and the configuration that change
// makes of the default one.
func newWorld(t *testing.T, change func(*specs.Spec)) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, id: testplain.Unique("fault"), bundle: filepath.Join(dir, "bundle"), r: &Runtime{Root: filepath.Join(dir, "state")}}
	rootfs := filepath.Join(w.bundle, "rootfs")
	must(t, os.MkdirAll(filepath.Join(rootfs, "bin"), 0o755))
	must(t, os.MkdirAll(w.r.Root, 0o700))
	busybox, err := os.ReadFile("/bin/busybox")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(rootfs, "bin", "sh"), busybox, 0o755))
	s := template.Spec()
	s.Process.Terminal = false
	change(s)
	text, err := json.Marshal(s)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(w.bundle, "config.json"), text, 0o644))
	// A first create makes the mount points that the image lacks.
	must(t, w.r.Create(w.options()))
	must(t, w.r.Delete(w.id, true))
	reapAll(t)
	w.mounts, w.fds = mountTable(t), openFds(t)
	return w
}

func (w *world) options() *CreateOptions { return &CreateOptions{ID: w.id, Bundle: w.bundle} }

// program compiles the bundle as Create does.
func (w *world) program() *compile.Output {
	w.t.Helper()
	m, err := w.r.newMaker(w.options(), true, byProgram)
	must(w.t, err)
	defer m.close()
	for _, step := range [...]func() (func(), error){m.load, m.decide, m.compile} {
		_, err := step()
		must(w.t, err)
	}
	return m.plan.out
}

func (w *world) createWithFault(f *program.Fault) error {
	testFault = f
	err := w.r.Create(w.options())
	testFault = nil
	if err != nil {
		return err
	}
	err = w.r.Start(w.id, &StartOptions{})
	if e := w.r.Delete(w.id, true); e != nil {
		w.t.Errorf("delete after %v: %v", err, e)
	}
	reapAll(w.t)
	return err
}

func (w *world) checkNothingLeft(after string) {
	w.t.Helper()
	if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
		w.t.Errorf("%s: a process is left (wait4: %v)", after, err)
	}
	entries, _ := os.ReadDir(w.r.Root)
	for _, e := range entries {
		w.t.Errorf("%s: %s is left in the state directory", after, e.Name())
	}
	if got := mountTable(w.t); got != w.mounts {
		w.t.Errorf("%s: mounts are left:\n%s", after, got)
	}
	if n := openFds(w.t); n > w.fds {
		w.t.Errorf("%s: %d descriptors, %d before", after, n, w.fds)
	}
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == w.id {
			w.t.Errorf("%s: cgroup %s is left", after, path)
		}
		return nil
	})
	if w.t.Failed() {
		w.t.FailNow()
	}
}

func mountTable(t *testing.T) string {
	b, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	return string(b)
}

func openFds(t *testing.T) int {
	e, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(e)
}

// reapAll waits for all children that have ended or are about to. One that does not
// is killed.
func reapAll(t *testing.T) {
	t.Helper()
	living := func() string { // and kills them, since it is called at the bound
		var left []string
		lists, _ := filepath.Glob("/proc/self/task/*/children")
		for _, list := range lists {
			text, _ := os.ReadFile(list)
			left = append(left, strings.Fields(string(text))...)
		}
		for _, c := range left {
			n, _ := strconv.Atoi(c)
			_ = unix.Kill(n, unix.SIGKILL)
		}
		return fmt.Sprintf("the end of all children, of which there are %s", left)
	}
	testwait.Poll(t, living, func() bool {
		for {
			pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			if err == unix.ECHILD {
				return true
			}
			if err == nil && pid == 0 {
				return false
			}
		}
	})
}

// TestResctrl creates and deletes a container in a resource control group, in a
// directory that stands in for resctrl.
func TestResctrl(t *testing.T) {
	testneed.Root(t)
	root := t.TempDir()
	must(t, os.Mkdir(root+"/gold", 0o755))
	for _, name := range []string{"schemata", "tasks"} {
		must(t, os.WriteFile(root+"/gold/"+name, []byte("L3:0=7ff\n"), 0o644))
	}
	w := newWorld(t, func(*specs.Spec) {})
	w.r.Resctrl = root
	set := func(r *specs.LinuxIntelRdt) {
		s := template.Spec()
		s.Process.Terminal = false
		s.Linux.IntelRdt = r
		text, err := json.Marshal(s)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(w.bundle, "config.json"), text, 0o644))
	}
	set(&specs.LinuxIntelRdt{ClosID: "gold", Schemata: []string{"L3:0=7ff"}})
	must(t, w.r.Create(w.options()))
	state, err := w.r.State(w.id)
	must(t, err)
	if text, _ := os.ReadFile(root + "/gold/tasks"); !strings.HasPrefix(string(text), strconv.Itoa(state.Pid)) {
		t.Errorf("tasks %q, want %d", text, state.Pid)
	}
	_, err = w.r.UpdateRdt(w.id, "L3:0=3ff", "")
	must(t, err)
	if text, _ := os.ReadFile(root + "/gold/schemata"); !strings.HasPrefix(string(text), "L3:0=3ff\n") {
		t.Errorf("schemata %q after the update", text)
	}
	must(t, w.r.Delete(w.id, true))
	reapAll(t)
	w.checkNothingLeft("a container in gold")
	set(&specs.LinuxIntelRdt{ClosID: "gold", Schemata: []string{"L3:0=1"}})
	if err := w.r.Create(w.options()); err == nil || !strings.Contains(err.Error(), "linux.intelRdt.closID") {
		t.Errorf("other values: %v", err)
	}
	w.checkNothingLeft("a create that was refused")
	// The stand-in makes no files in a directory, so that joining it fails.
	set(&specs.LinuxIntelRdt{})
	if err := w.r.Create(w.options()); err == nil || !strings.Contains(err.Error(), "linux.intelRdt") {
		t.Errorf("no tasks file: %v", err)
	}
	w.checkNothingLeft("a group that cannot be joined")
	if left, _ := os.ReadDir(root); len(left) != 1 {
		t.Errorf("left in resctrl: %v", left)
	}
}
