package hook

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/tests/testproc"
	"github.com/hutch-project/hutch/tests/testwait"
)

func there(path string) bool { _, err := os.Stat(path); return err == nil }

// TestHookEndsWithTheContainer: a hook without a timeout is killed, with its group, when
// init has ended, or the container is deleted.
func TestHookEndsWithTheContainer(t *testing.T) {
	for name, want := range map[string]error{"init ends": ErrEnded, "deleted": ErrDeleted} {
		t.Run(name, func(t *testing.T) {
			path, dir := script(t, "sleep 1000 & echo $! >$D/child.new; mv $D/child.new $D/child; wait")
			init, pidfd := testproc.Sleeper(t)
			o := Options{Init: &pidfd}
			end := func() { _ = init.Process.Kill() }
			if want == ErrDeleted {
				o = Options{Deleted: func() bool { return there(filepath.Join(dir, "deleted")) }}
				end = func() { _ = os.WriteFile(filepath.Join(dir, "deleted"), nil, 0o600) }
			}
			got := make(chan error)
			go func() {
				got <- Run([]specs.Hook{{Path: path, Env: []string{"PATH=/bin:/usr/bin"}}}, "createRuntime", nil, o)
			}()
			testwait.Until(t, "the hook runs", func() bool { return there(filepath.Join(dir, "child")) })
			end()
			err := testwait.Value(t, "the end of the hook", got)
			if !errors.Is(err, want) || !strings.HasPrefix(err.Error(), "hooks.createRuntime[0]: run "+path) {
				t.Errorf("got %v, want %v", err, want)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(content(t, dir, "child")))
			if err != nil {
				t.Fatal(err)
			}
			testwait.End(t, "the end of the hook's child", pid)
		})
	}
}

// TestHookOutlivesAShortContainer: that init has ended is nothing to a hook that runs
// after start; and what a hook has said before the end counts.
func TestHookOutlivesAShortContainer(t *testing.T) {
	path, dir := script(t, "echo ran >$D/ran")
	asked := 0
	o := Options{Deleted: func() bool { asked++; return false }}
	if err := Run([]specs.Hook{{Path: path}}, "poststart", nil, o); err != nil || content(t, dir, "ran") != "ran\n" {
		t.Errorf("got %v", err)
	}
	if asked == 0 {
		t.Error("nobody asked whether the container was deleted")
	}
	fails, _ := script(t, "exit 5")
	if err := Run([]specs.Hook{{Path: fails}}, "poststart", nil, o); err == nil || !strings.HasSuffix(err.Error(), "exit status 5") {
		t.Errorf("got %v", err)
	}
}
