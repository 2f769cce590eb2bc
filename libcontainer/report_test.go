package libcontainer

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestReportEndsWithInit: whoever may trace init can take its end of result.fifo and keep
// it open.
func TestReportEndsWithInit(t *testing.T) {
	read, held, err := os.Pipe()
	must(t, err)
	defer read.Close()
	defer held.Close()
	init := exec.Command("sleep", "1000")
	must(t, init.Start())
	pidfd, err := unix.PidfdOpen(init.Process.Pid, 0)
	must(t, err)
	defer unix.Close(pidfd)
	must(t, init.Process.Kill())
	_ = init.Wait()
	late, ended, err := awaitReport(int(read.Fd()), pidfd, time.Now().Add(20*time.Second))
	if late || !ended || err != nil {
		t.Errorf("got %v, %v, %v, want the end of init", late, ended, err)
	}
	_, err = held.WriteString("last words")
	must(t, err)
	if late, ended, err := awaitReport(int(read.Fd()), pidfd, time.Time{}); late || ended || err != nil {
		t.Errorf("got %v, %v, %v, want what init has left", late, ended, err)
	}
}
