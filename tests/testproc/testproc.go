// Package testproc makes processes that tests need beside their own.
//
// Only tests import it.
package testproc

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// Sleeper starts a process that does nothing, and returns it with its pidfd. Both end with
// the test.
func Sleeper(t testing.TB) (cmd *exec.Cmd, pidfd int) {
	t.Helper()
	cmd = exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pidfd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); unix.Close(pidfd) })
	return cmd, pidfd
}
