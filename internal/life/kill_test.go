package life

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/cgroup"
)

// stuck is a Manager of a container that has frozen itself again after the thaw.
type stuck struct {
	cgroup.Manager
	release func() error
}

func (s stuck) Stuck() bool    { return true }
func (s stuck) KillAll() error { return s.release() }

// TestWaitKillsWhatFreezesInit: as long as init is kept from its end by a freezer all of the
// container is killed, and thawed with that.
func TestWaitKillsWhatFreezesInit(t *testing.T) {
	init := exec.Command("sleep", "1000")
	must(t, init.Start())
	t.Cleanup(func() { _ = init.Process.Kill(); _ = init.Wait() })
	pidfd, err := unix.PidfdOpen(init.Process.Pid, 0)
	must(t, err)
	defer unix.Close(pidfd)
	if !waitKilled(pidfd, stuck{release: init.Process.Kill}, true) {
		t.Error("it stays frozen")
	}
}
