package life

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/tests/testneed"
)

// opened makes this process dumpable, as it is before it has to do with a container.
func opened(t *testing.T) {
	t.Helper()
	must(t, unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0))
	t.Cleanup(func() { must(t, unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)) })
}

func dumpable(t *testing.T) int {
	t.Helper()
	n, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	must(t, err)
	return n
}

// TestSpawnedIsHidden asks the child of spawnHidden itself.
func TestSpawnedIsHidden(t *testing.T) {
	opened(t)
	b := program.New()
	b = b.Element(program.T("test"))
	got := b.Reg()
	b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_GET_DUMPABLE), program.Imm(0)).To(got)
	b.Tell(1, got)
	p, err := b.Program()
	must(t, err)
	c, err := spawnHidden(p, &spawn.Options{Cgroup: -1})
	must(t, err)
	defer c.Close()
	defer c.Kill()
	if got, err := c.Expect(1); got != 0 || err != nil {
		t.Errorf("dumpable: %d, %v, want 0", got, err)
	}
}

// TestHookOfTheContainerIsHidden makes the runtime dumpable between init and its
// createContainer hook, as it is then for a user without privilege, whose init has to be:
// the hook's process must not have that of it.
func TestHookOfTheContainerIsHidden(t *testing.T) {
	testneed.Root(t)
	opened(t)
	w := newWorld(t, func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{{Path: "/bin/true"}}}
	})
	reached := 0
	testPhase = func(name string) {
		if name == "set up" {
			reached++
			must(t, unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0))
		}
	}
	err := w.r.Create(w.options())
	testPhase = nil
	must(t, err)
	if n := dumpable(t); n != 0 || reached != 1 {
		t.Errorf("after a hook the runtime, whose memory the hook's process began with, has dumpable %d, want 0 (%d phases)", n, reached)
	}
	must(t, w.r.Delete(w.id, true))
	reapAll(t)
	w.checkNothingLeft("a hook")
}
