package life

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/criutest"
	"github.com/hutch-project/hutch/tests/testwait"
)

// TestCheckpointKilledAtEachPhase ends checkpoint with SIGKILL at each phase and at each of
// CRIU's steps. The container goes on, or can be told to, where CRIU has not ended it; delete
// --force takes all back.
func TestCheckpointKilledAtEachPhase(t *testing.T) {
	if k := os.Getenv("HUTCH_TEST_CHECKPOINT_AT"); k != "" {
		checkpointThatIsKilled(k)
	}
	// A file of the host's, for which the processes are looked at while they stand still.
	out := filepath.Join(t.TempDir(), "out")
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(*specs.Spec) {})
	var phases []string
	for k := 1; ; k++ {
		w.startWith(out)
		text, done := killedAtPhase(t, k, "TestCheckpointKilledAtEachPhase", "HUTCH_TEST_CHECKPOINT_AT="+strconv.Itoa(k),
			"HUTCH_TEST_ROOT="+w.r.Root, "HUTCH_TEST_ID="+w.id, "HUTCH_TEST_IMAGES="+w.images, "PATH="+w.path)
		if done {
			break
		}
		lines := strings.Fields(text)
		phases = append(phases, lines[len(lines)-1])
		w.goesOnOrStopped(phases[k-1])
		if err := w.r.Delete(w.id, true); err != nil {
			t.Errorf("killed at %s: %v", phases[k-1], err)
		}
		reapAll(t)
		w.checkNothingLeft("killed at " + phases[k-1])
	}
	reapAll(t)
	w.checkNothingLeft("the checkpoint")
	if want := []string{"checked", "frozen", "saved", "pre-dump", "network-lock", "post-dump", "dumped", "ended"}; !slices.Equal(phases, want) {
		t.Errorf("killed at %q, want %q", phases, want)
	}
}

// checkpointThatIsKilled makes a checkpoint and ends itself at the phase k.
func checkpointThatIsKilled(k string) {
	n, _ := strconv.Atoi(k)
	testPhase = func(name string) {
		if n--; n == 0 {
			fmt.Println(name)
			_ = unix.Kill(unix.Getpid(), unix.SIGKILL)
			select {}
		}
	}
	r := &Runtime{Root: os.Getenv("HUTCH_TEST_ROOT")}
	o := &DumpOptions{CheckpointOptions: CheckpointOptions{ImagePath: os.Getenv("HUTCH_TEST_IMAGES"), Path: os.Getenv("PATH")}, StatusFd: -1}
	if err := r.Checkpoint(os.Getenv("HUTCH_TEST_ID"), o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	os.Exit(0)
}

// startWith runs the container with its output in a file, which this process has as its own
// meanwhile.
func (w *criuWorld) startWith(file string) {
	w.t.Helper()
	out, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|unix.O_NOCTTY, 0o644)
	must(w.t, err)
	saved, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 10)
	must(w.t, err)
	must(w.t, unix.Dup3(int(out.Fd()), 1, 0))
	defer func() {
		must(w.t, unix.Dup3(saved, 1, 0))
		unix.Close(saved)
		out.Close()
	}()
	w.start()
}

// goesOnOrStopped holds that a container whose checkpoint was killed is whole or stopped.
func (w *criuWorld) goesOnOrStopped(phase string) {
	w.t.Helper()
	if phase == "dumped" || phase == "ended" { // CRIU has killed the processes, which takes a moment
		testwait.Until(w.t, "killed at "+phase+": it stops", func() bool { return w.status() == Stopped })
		return
	}
	switch s := w.status(); s {
	case Paused:
		if phase != "frozen" {
			w.t.Errorf("killed at %s: it is left paused", phase)
		}
		must(w.t, w.r.Resume(w.id))
		if s := w.status(); s != Running {
			w.t.Errorf("killed at %s: resumed, it is %s", phase, s)
		}
	case Running:
	default:
		w.t.Errorf("killed at %s: it is %s", phase, s)
	}
}

// TestCheckpointThatHangs: delete --force ends what a CRIU that does not answer holds up, also
// where it has frozen the container.
func TestCheckpointThatHangs(t *testing.T) {
	for _, at := range []string{"request", "network-lock"} {
		w := newCRIUWorld(t, &criutest.Behaviour{At: at, Do: "hang"}, func(*specs.Spec) {})
		w.start()
		testFreeze = func(c *container) { must(t, c.cg.Freeze()) }
		done := make(chan error)
		go func() { done <- w.checkpoint(func(*DumpOptions) {}) }()
		hung := 0
		testwait.Until(t, "CRIU hangs", func() bool {
			text, _ := os.ReadFile(filepath.Join(w.path, criutest.Hangs))
			hung, _ = strconv.Atoi(strings.TrimSuffix(string(text), "\n"))
			return strings.HasSuffix(string(text), "\n")
		})
		must(t, w.r.Delete(w.id, true))
		if _, err := w.r.State(w.id); !errors.Is(err, ErrNotExist) {
			t.Errorf("%s: deleted, its state is %v", at, err)
		}
		must(t, unix.Kill(hung, unix.SIGKILL))
		if err := testwait.Value(t, "the end of the checkpoint", done); err == nil {
			t.Errorf("%s: it has succeeded", at)
		}
		testFreeze = nil
		reapAll(t)
		w.checkNothingLeft("a checkpoint that has ended after it")
	}
}
