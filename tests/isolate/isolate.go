// Package isolate gives a test binary a mount namespace of its own, so that
// nothing that a runtime mounts, or fails to unmount, reaches the machine.
package isolate

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// variable marks the second run.
const variable = "HUTCH_TEST_ISOLATED"

// Rerun runs this test binary again in a new mount namespace, whose mounts are
// private, and as a child subreaper. It returns true and the exit code in the
// first run, false in the second, which goes on with the tests.
//
// It needs CAP_SYS_ADMIN. Source: mount_namespaces(7), prctl(2).
func Rerun() (code int, first bool) {
	if os.Getenv(variable) != "" {
		// The runtime's orphans, containers, become children of this process.
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return fail(err), true
		}
		return 0, false
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), variable+"=1")
	// Unshareflags with CLONE_NEWNS also makes every mount private.
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() >= 0 {
		return exit.ExitCode(), true
	}
	if err != nil {
		return fail(err), true
	}
	return 0, true
}

func fail(err error) int {
	fmt.Fprintf(os.Stderr, "isolate: %v\n", err)
	return 1
}
