package proc

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testwait"
)

// TestExitOf looks at processes that are reaped by somebody else than who asks.
func TestExitOf(t *testing.T) {
	for script, want := range map[string]int{"exit 7": 7 << 8, "kill -9 $$": 9, "exit 0": 0} {
		cmd := exec.Command("sh", "-c", "read line; "+script)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pidfd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(pidfd)
		in.Close()
		testwait.EndOf(t, script, pidfd)
		_ = cmd.Wait()
		status, known := ExitOf(pidfd)
		if info := (unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}); !known && unix.IoctlPidfdInfo(pidfd, &info) != nil {
			t.Skip("the kernel keeps no status")
		}
		if !known || int(status) != want {
			t.Errorf("%s: status %#x, known %v, want %#x", script, int(status), known, want)
		}
	}
}
