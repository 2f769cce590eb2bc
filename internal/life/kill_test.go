package life

import (
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/state"
	"github.com/hutch-project/hutch/tests/testwait"
)

// stuck is a Manager of a container that has frozen itself again after the thaw.
type stuck struct {
	cgroup.Manager
	thawed  *int // so often it is seen thawed before
	release func() error
}

func (s stuck) Stuck() bool {
	if *s.thawed > 0 {
		*s.thawed--
		return false
	}
	return true
}

func (s stuck) KillAll() error { return s.release() }

// TestWaitKillsWhatFreezesInit: as long as init is kept from its end by a freezer all of the
// container is killed, and thawed with that; also when it was seen thawed before, since it
// waited for a processor.
func TestWaitKillsWhatFreezesInit(t *testing.T) {
	for name, wait := range map[string]func(*container, int) bool{
		"delete": func(c *container, pidfd int) bool { return waitKilled(pidfd, c.cg, true) },
		"kill": func(c *container, pidfd int) bool {
			c.unstickInit(pidfd)
			done, _ := ended(pidfd, time.Now().Add(testwait.Bound()))
			return done
		},
	} {
		t.Run(name, func(t *testing.T) {
			init := exec.Command("sleep", "1000")
			must(t, init.Start())
			t.Cleanup(func() { _ = init.Process.Kill(); _ = init.Wait() })
			pidfd, err := unix.PidfdOpen(init.Process.Pid, 0)
			must(t, err)
			defer unix.Close(pidfd)
			thawed := 10
			c := &container{cg: stuck{thawed: &thawed, release: init.Process.Kill}, rec: &state.Record{
				Pid: init.Process.Pid, Cgroup: state.Cgroup{Paths: map[string]string{"freezer": "/"}, Own: true},
			}}
			if !wait(c, pidfd) {
				t.Error("it stays frozen")
			}
		})
	}
}
