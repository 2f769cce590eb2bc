// Embed is a program that runs a container by itself, with Hutch as a library:
//
//	embed BUNDLE
//
// It creates the container, looks at it, starts it, waits for its end by its
// pidfd and deletes it. It needs root, and no hutch binary, no cgo and no hook in
// main: what enters the container is a list of system calls, not this program.
package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/libcontainer"
)

func main() {
	if err := embed(); err != nil {
		fmt.Fprintln(os.Stderr, "embed:", err)
		os.Exit(1)
	}
}

func embed() (retErr error) {
	if len(os.Args) != 2 {
		return errors.New("usage: embed BUNDLE")
	}
	// First of all, as it may execute this program again from a copy: no
	// container may get at the file of the program that has made it.
	if err := libcontainer.Protect(os.Args, os.Environ()); err != nil {
		return err
	}
	root, err := os.MkdirTemp("", "embed-") // of state; another program's would do
	if err != nil {
		return err
	}
	defer func() { retErr = errors.Join(retErr, os.RemoveAll(root)) }()

	r := &libcontainer.Runtime{Root: root, Warn: func(text string) { fmt.Fprintln(os.Stderr, "warning:", text) }}
	id := fmt.Sprintf("embedded-%d", os.Getpid())
	if err := r.Create(&libcontainer.CreateOptions{ID: id, Bundle: os.Args[1]}); err != nil {
		return err // nothing is left
	}
	// With force, so that it also helps when a step below is refused.
	defer func() { retErr = errors.Join(retErr, r.Delete(id, true)) }()

	state, err := r.State(id)
	if err != nil {
		return err
	}
	fmt.Println("before start:", state.Status)
	pidfd, err := unix.PidfdOpen(state.Pid, 0)
	if err != nil {
		return fmt.Errorf("pidfd_open %d: %w", state.Pid, err)
	}
	defer unix.Close(pidfd)
	if err := r.Start(id, &libcontainer.StartOptions{}); err != nil {
		return err
	}
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PIDFD, pidfd, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		return fmt.Errorf("waitid: %w", err)
	}
	if state, err = r.State(id); err != nil {
		return err
	}
	fmt.Println("at the end:", state.Status)
	return nil
}
