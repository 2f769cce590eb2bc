package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// handedOn are the signals that go on to the tests. One that the caller ignores
// stays ignored, as the tests would have it without a box.
var handedOn = []os.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2}

// listen has the signals that are handed on sent to a channel.
func listen() chan os.Signal {
	signals := make(chan os.Signal, len(handedOn))
	for _, s := range handedOn {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	return signals
}

// run runs the tests in a box and returns their exit code.
func run(binary string, args []string, bound time.Duration) (int, error) {
	// The tests get the standard descriptors and no other.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return 0, fmt.Errorf("close_range: %w", err)
	}
	// With it ignored no child could be waited for.
	signal.Notify(make(chan os.Signal, 1), unix.SIGCHLD)
	p, err := newPlan(binary, args, bound)
	if err != nil {
		return 0, err
	}
	// The watcher comes first: nothing is there that it does not know of.
	watcher, alive, err := p.startWatcher()
	if err != nil {
		return 0, err
	}
	code, found, err := p.runInit()
	if err := errors.Join(err, p.tearDown()); err != nil {
		return 0, err
	}
	if _, err = alive.Write([]byte{done}); err != nil {
		return 0, err
	}
	alive.Close()
	watcher.Wait()
	if len(found) > 0 {
		p.report(found)
		code = max(code, 1)
	}
	return code, nil
}

// runInit makes what the box has, and runs its init. It returns the exit code, and
// what the tests have left.
func (p *plan) runInit() (int, []left, error) {
	if err := p.make(); err != nil {
		return 0, nil, err
	}
	// The end of the first pipe tells init that this process is gone.
	life, lifeEnd, err := os.Pipe()
	if err != nil {
		return 0, nil, err
	}
	defer lifeEnd.Close()
	report, reportEnd, err := os.Pipe()
	if err != nil {
		return 0, nil, err
	}
	defer report.Close()
	cmd := exec.Command("/proc/self/exe", "init", p.encode())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{life, reportEnd}
	if p.Root {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	}
	signals := listen()
	if err := cmd.Start(); err != nil {
		return 0, nil, err
	}
	life.Close()
	reportEnd.Close()
	go func() {
		for s := range signals {
			cmd.Process.Signal(s)
		}
	}()
	var found []left
	readErr := json.NewDecoder(report).Decode(&found)
	err = cmd.Wait()
	code := cmd.ProcessState.ExitCode()
	switch {
	case code < 0:
		return 0, nil, fmt.Errorf("the init of the box ended: %w", err)
	case readErr != nil && code == 0:
		return 0, nil, fmt.Errorf("read what is left: %w", readErr)
	}
	return code, found, nil
}

// make makes the cgroups, or for a user, who has none, the directories.
func (p *plan) make() error {
	if !p.Root {
		return errors.Join(os.Mkdir(p.Dir, 0o700), os.Mkdir(filepath.Join(p.Dir, "tmp"), 0o700), os.Mkdir(filepath.Join(p.Dir, "run"), 0o700))
	}
	for _, g := range p.Groups {
		if err := g.make(); err != nil {
			return err
		}
	}
	return nil
}

// tearDown takes away all of the box that outlives its processes.
func (p *plan) tearDown() error {
	return errors.Join(removeGroups(p.Groups), os.RemoveAll(p.Dir))
}

// done is what box tells its watcher when there is nothing left to do.
const done = 'd'

// startWatcher starts the process that takes all away when this one is killed. It
// holds the other end of the pipe that is returned.
func (p *plan) startWatcher() (*exec.Cmd, *os.File, error) {
	end, alive, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer end.Close()
	cmd := exec.Command("/proc/self/exe", "watch", p.encode())
	// Not the caller's: go test would wait for their end.
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{end}
	// What is sent to the group, or comes from the terminal, is not for it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("watcher: %w", err)
	}
	return cmd, alive, nil
}

// watch waits until the box has ended, or was killed.
func watch(p *plan) int {
	signal.Ignore(handedOn...)
	word, err := io.ReadAll(os.NewFile(3, "box"))
	if err == nil && len(word) == 1 && word[0] == done {
		return 0
	}
	if err := p.tearDown(); err != nil {
		return complain(err)
	}
	return 0
}
