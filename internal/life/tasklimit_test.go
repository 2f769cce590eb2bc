package life

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/state"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/program/spawn"
)

// freezer is a Manager of which a test knows whether it is frozen.
type freezer struct {
	cgroup.Manager
	frozen bool
	thaw   func()
}

func (f *freezer) Frozen() bool { return f.frozen }

func (f *freezer) Freeze() error {
	f.frozen = true
	return nil
}

func (f *freezer) Thaw() error {
	f.frozen = false
	f.thaw()
	return nil
}

// TestContainerStandsStillUntilExecIsInside: where exec's process is moved into the cgroups,
// the container stands still from before it is in the pid namespace until it has been
// moved, and is locked; one that is paused stays so.
func TestContainerStandsStillUntilExecIsInside(t *testing.T) {
	for _, c := range []struct {
		name            string
		private         bool
		paused, ignores bool
		want            error
	}{
		{"running", true, false, false, nil},
		{"paused", true, true, false, errPaused},
		{"paused, which is ignored", true, true, true, nil},
		{"a pid namespace of others", false, false, false, unix.EAGAIN},
	} {
		t.Run(c.name, func(t *testing.T) {
			root, err := state.Open(t.TempDir())
			must(t, err)
			defer root.Close()
			made, err := root.Create("c")
			must(t, err)
			made.Close()
			dir, err := root.Load("c")
			must(t, err)
			defer dir.Close()
			file := t.TempDir() + "/cgroup.procs"
			must(t, os.WriteFile(file, nil, 0o600))
			child := exec.Command("true")
			must(t, child.Run())
			pid := child.Process.Pid
			f := &freezer{frozen: c.paused, thaw: func() {
				if text, err := os.ReadFile(file); err != nil || string(text) != strconv.Itoa(pid) {
					t.Errorf("it is let go with %q in %s: %v", text, file, err)
				}
			}}
			e := &execution{
				o: &ExecOptions{IgnorePaused: c.ignores}, init: namespace.Init{Flags: unix.CLONE_NEWPID},
				c:     &container{dir: dir, cg: f, rec: &state.Record{PrivatePid: c.private}},
				child: &spawn.Child{Pid: pid}, way: entrance{outside: true}, atLimit: atLimit{procs: []string{file}},
			}
			if err := e.freeze(); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if c.want != nil {
				must(t, e.thaw())
			} else {
				other, err := root.Load("c")
				must(t, err)
				defer other.Close()
				if !f.frozen || !other.Locked() {
					t.Error("the container runs, or is not locked, while the process is moved")
				}
				must(t, e.move())
				if other.Locked() {
					t.Error("the container stays locked")
				}
			}
			if f.frozen != c.paused {
				t.Errorf("in the end it is frozen: %v", f.frozen)
			}
		})
	}
}
