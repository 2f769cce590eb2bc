package life

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/tests/testneed"
	"github.com/hutch-project/hutch/tests/testproc"
	"github.com/hutch-project/hutch/tests/testwait"
)

// TestCreateStoppedAtEachPhase stops create at each of its phases, and at each message of
// init: delete --force takes the container away from it all the same, and when it goes on
// it fails and leaves nothing. The poststop hooks run once.
func TestCreateStoppedAtEachPhase(t *testing.T) {
	testneed.Root(t)
	if k := os.Getenv("HUTCH_TEST_STOP_AT"); k != "" {
		stoppedCreate(k)
		return
	}
	wait := forceWait
	forceWait = 10 * time.Millisecond
	defer func() { forceWait = wait }()
	must(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	stopped := 0
	for name, change := range faultConfigs() {
		t.Run(name, func(t *testing.T) {
			ran := filepath.Join(t.TempDir(), "ran")
			w := newWorld(t, func(s *specs.Spec) {
				change(s)
				if s.Hooks == nil {
					s.Hooks = &specs.Hooks{}
				}
				s.Hooks.Poststop = []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo ran >>" + ran}}}
			})
			for k := 1; w.stopCreateAt(k, ran); k++ {
				stopped++
			}
		})
	}
	t.Logf("creates stopped: %d, all taken away by delete --force", stopped)
	if stopped < 20 {
		t.Errorf("only %d creates were stopped", stopped)
	}
}

// stopCreateAt stops a create at its k-th phase; false says that there are fewer.
func (w *world) stopCreateAt(k int, ran string) bool {
	w.t.Helper()
	_ = os.Remove(ran)
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestCreateStoppedAtEachPhase$")
	cmd.Env = append(os.Environ(), "HUTCH_TEST_STOP_AT="+strconv.Itoa(k), "HUTCH_TEST_BUNDLE="+w.bundle, "HUTCH_TEST_ROOT="+w.r.Root, "HUTCH_TEST_ID="+w.id)
	log, err := os.Create(filepath.Join(w.t.TempDir(), "log")) // no pipe: init keeps it open
	must(w.t, err)
	cmd.Stdout, cmd.Stderr = log, log
	must(w.t, cmd.Start())
	log.Close()
	defer func() { _ = cmd.Process.Release() }()
	var ws unix.WaitStatus
	_, err = unix.Wait4(cmd.Process.Pid, &ws, unix.WUNTRACED, nil)
	must(w.t, err)
	if !ws.Stopped() {
		must(w.t, w.r.Delete(w.id, true))
		reapAll(w.t)
		return false
	}
	// A stop takes a moment to reach the thread that goes on.
	_, err = os.Stat(filepath.Join(w.r.Root, w.id, "state.json"))
	recorded := err == nil
	if err := w.r.Delete(w.id, true); err != nil {
		w.t.Errorf("stopped at phase %d: %v", k, err)
	}
	if left, _ := os.ReadDir(w.r.Root); len(left) > 0 {
		w.t.Errorf("stopped at phase %d: the state is left", k)
	}
	must(w.t, unix.Kill(cmd.Process.Pid, unix.SIGCONT))
	_, err = unix.Wait4(cmd.Process.Pid, &ws, 0, nil)
	must(w.t, err)
	out, _ := os.ReadFile(log.Name())
	if recorded && ws.ExitStatus() != 3 {
		w.t.Errorf("stopped at phase %d, then deleted: create ends with %#x\n%s", k, ws, out)
	}
	if ws.ExitStatus() == 0 { // it had not begun
		must(w.t, w.r.Delete(w.id, true))
	}
	reapAll(w.t)
	must(w.t, cmd.Process.Release())
	w.checkNothingLeft(fmt.Sprintf("stopped at phase %d", k))
	if n, _ := os.ReadFile(ran); recorded && string(n) != "ran\n" {
		w.t.Errorf("stopped at phase %d: the poststop hooks ran %d times, want once", k, strings.Count(string(n), "\n"))
	}
	return true
}

// stoppedCreate is the process that is stopped at its k-th phase.
func stoppedCreate(k string) {
	n, _ := strconv.Atoi(k)
	testPhase = func(string) {
		if n--; n == 0 {
			// To the thread that goes on, which then stops right here.
			runtime.LockOSThread()
			_ = unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGSTOP)
		}
	}
	r := &Runtime{Root: os.Getenv("HUTCH_TEST_ROOT")}
	if err := r.Create(&CreateOptions{ID: os.Getenv("HUTCH_TEST_ID"), Bundle: os.Getenv("HUTCH_TEST_BUNDLE")}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	os.Exit(0)
}

// TestInitIsRecordedAtItsBirth: a delete can kill it whatever it does.
func TestInitIsRecordedAtItsBirth(t *testing.T) {
	testneed.Root(t)
	w := newWorld(t, func(*specs.Spec) {})
	seen := 0
	testPhase = func(name string) {
		if name != "set up" {
			return
		}
		seen++
		s, err := w.r.State(w.id)
		if err != nil || s.Pid == 0 || s.Status != Creating {
			t.Errorf("before the first message: %+v, %v", s, err)
		}
		if c, err := w.r.open(w.id, false); err != nil || !c.rec.Cgroup.Own {
			t.Errorf("the cgroups are not recorded as the container's: %v", err)
		} else {
			c.close()
		}
	}
	defer func() { testPhase = nil }()
	must(t, w.r.Create(w.options()))
	must(t, w.r.Delete(w.id, true))
	reapAll(t)
	if seen != 1 {
		t.Errorf("looked %d times", seen)
	}
}

// TestStatusWhileCreateEnds: the creator gives up the lock between the look at the record
// and that at the lock.
func TestStatusWhileCreateEnds(t *testing.T) {
	testneed.Root(t)
	w := newWorld(t, func(*specs.Spec) {})
	var early *container
	testPhase = func(name string) {
		if name == "make cgroups" { // recorded, and no process yet
			var err error
			early, err = w.r.open(w.id, false)
			must(t, err)
			if s := early.status(); s != Creating {
				t.Errorf("while it is created: %s", s)
			}
		}
	}
	defer func() { testPhase = nil }()
	must(t, w.r.Create(w.options()))
	if s := early.status(); s != Created {
		t.Errorf("by the old record: %s, want %s", s, Created)
	}
	early.close()
	must(t, w.r.Delete(w.id, true))
	reapAll(t)
}

// TestLockedHasAnEnd: every command has one beside a command that keeps the lock.
func TestLockedHasAnEnd(t *testing.T) {
	testneed.Root(t)
	wait := lockWait
	lockWait = time.Millisecond
	defer func() { lockWait = wait }()
	w := newWorld(t, func(*specs.Spec) {})
	must(t, w.r.Create(w.options()))
	holder, err := w.r.open(w.id, true)
	must(t, err)
	for name, do := range map[string]func() error{
		"delete": func() error { return w.r.Delete(w.id, false) },
		"start":  func() error { return w.r.Start(w.id, &StartOptions{}) },
		"pause":  func() error { return w.r.Pause(w.id) },
	} {
		if err := do(); err == nil || !strings.HasPrefix(err.Error(), name+" "+w.id+": another command has the container locked for 1ms: by process "+strconv.Itoa(os.Getpid())) {
			t.Errorf("%s: %v", name, err)
		}
	}
	holder.close()
	must(t, w.r.Delete(w.id, false))
	reapAll(t)
	w.checkNothingLeft("a delete that waited")
	if err := w.r.Delete(w.id, false); !errors.Is(err, ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestNextWhile: a child that says nothing, as one that others have stopped, is waited for
// as long as another process lives; one that has said something is heard.
func TestNextWhile(t *testing.T) {
	b := program.New()
	b.Tell(7, b.RegOf(1))
	b.Wait(8, b.Zero(1))
	b.Exit(0)
	p, err := b.Program()
	must(t, err)
	child, err := spawn.Spawn(p, &spawn.Options{Cgroup: -1})
	must(t, err)
	defer func() { child.Kill(); child.Close() }()
	other, pidfd := testproc.Sleeper(t)
	if e, err := child.NextWhile(pidfd); err != nil || e.Tag != 7 {
		t.Errorf("got %+v, %v", e, err)
	}
	got := make(chan error)
	go func() {
		_, err := child.NextWhile(pidfd)
		got <- err
	}()
	must(t, other.Process.Kill())
	_ = other.Wait()
	if err := testwait.Value(t, "the end of the wait for a child whose other process has ended", got); !errors.Is(err, spawn.ErrOrphaned) {
		t.Errorf("got %v, want %v", err, spawn.ErrOrphaned)
	}
}

// TestMountsTakeNoLock: what a container has mounted may keep a process waiting that makes
// mounts there, and so nobody else does.
func TestMountsTakeNoLock(t *testing.T) {
	testneed.Root(t)
	w := newWorld(t, func(s *specs.Spec) {
		s.Process.Args = []string{"sh", "-c", "while :; do sleep 1000; done"}
		s.Root.Readonly = false
	})
	must(t, w.r.Create(w.options()))
	must(t, w.r.Start(w.id, &StartOptions{}))
	c, err := w.r.open(w.id, true)
	must(t, err)
	mounts := []specs.Mount{{Destination: "/tmp/own", Type: "tmpfs", Source: "own"}}
	if err := w.r.AddMounts(w.id, mounts); err != nil {
		t.Errorf("beside a command that has the lock: %v", err)
	}
	if err := w.r.RemoveMounts(w.id, mounts); err != nil {
		t.Errorf("beside a command that has the lock: %v", err)
	}
	c.close()
	must(t, w.r.Delete(w.id, true))
	reapAll(t)
}
