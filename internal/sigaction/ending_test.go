package sigaction

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testneed"
)

// TestEnding: the handler ends the first process of a pid namespace, with the signal's number.
func TestEnding(t *testing.T) {
	if os.Getenv("HUTCH_TEST_ENDING") != "" {
		action := Ending()
		_, _, e := syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGTERM), uintptr(unsafe.Pointer(&action)), 0, SetSize, 0, 0)
		if e != 0 {
			t.Fatal(e)
		}
		if err := unix.Kill(os.Getpid(), unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		// Another thread may be the one that takes it, after kill has returned.
		for {
			_ = unix.Pause()
		}
	}
	testneed.Root(t)
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestEnding$")
	cmd.Env = append(os.Environ(), "HUTCH_TEST_ENDING=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	out, _ := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != 128+int(unix.SIGTERM) {
		t.Errorf("%v, %s, want exit status 143", cmd.ProcessState, out)
	}
}
