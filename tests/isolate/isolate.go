// Package isolate gives a test binary a mount namespace of its own, so that
// nothing that a runtime mounts, or fails to unmount, reaches the machine, and nothing
// that others mount meanwhile is seen. Its state is that of package testplain.
package isolate

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testplain"
)

// variable marks the second run.
const variable = "HUTCH_TEST_ISOLATED"

// Rerun is Mounts, and the process that goes on is a child subreaper: the runtime's
// orphans, containers, become its children.
//
// Source: prctl(2).
func Rerun() (code int, first bool) {
	if code, first := Mounts(); first {
		return code, true
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fail(err), true
	}
	return 0, false
}

// Mounts runs this test binary again in a new mount namespace, whose mounts are
// private. It returns true and the exit code in the first run, false in the second,
// which goes on with the tests.
//
// It needs CAP_SYS_ADMIN. Source: mount_namespaces(7).
func Mounts() (code int, first bool) {
	if os.Getenv(variable) != "" {
		return 0, false
	}
	testplain.Start()
	// By its name: /proc/self/exe would be of the former namespace's mount.
	self, err := os.Executable()
	if err != nil {
		return fail(err), true
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), variable+"=1")
	// Unshareflags with CLONE_NEWNS also makes every mount private.
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
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
