package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/descent"
	"github.com/hutch-project/hutch/tests/testplain"
)

// jailWord is the first argument of the half of this program that runs a test.
const jailWord = "jail"

// timeUp is its exit code when the limit is reached.
const timeUp = 124

// jail runs a command for some seconds at most: SECONDS COMMAND [ARG...]. All
// that descends from it has ended when jail returns: a broken runtime leaves
// containers.
func jail(args []string) int {
	limit, err := strconv.Atoi(args[0])
	if err == nil {
		err = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants: jail:", err)
		return 1
	}
	word := testplain.RandomWord()
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Env = append(os.Environ(), testplain.RunVariable+"="+word)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "mutants: jail:", err)
		return 1
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	code := watch(ended, time.Duration(limit)*time.Second)
	endAll()
	removeCgroups(word)
	return code
}

// crowd is how many processes no test has: a mutant of the protection of the
// executable may well execute the tests again and again.
const crowd = 400

// watch waits for the end of the command, or of its time, or of patience with it,
// and returns the exit code.
func watch(ended chan error, limit time.Duration) int {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	count := time.NewTicker(100 * time.Millisecond)
	defer count.Stop()
	end := time.After(limit)
	for {
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() > 0 {
				return exit.ExitCode()
			}
			if err != nil {
				return 1
			}
			return 0
		case <-end:
			fmt.Fprintf(os.Stderr, "mutants: not done after %v\n", limit)
			return timeUp
		case <-stop:
			return timeUp
		case <-count.C:
			if n := len(descent.Descendants()); n > crowd {
				fmt.Fprintf(os.Stderr, "mutants: %d processes\n", n)
				return timeUp
			}
		}
	}
}

// endAll ends what descends from this process. Killed parents leave their children
// to this process, a child subreaper. All are stopped first, so that none makes
// more meanwhile.
func endAll() {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		list := descent.Descendants()
		if len(list) == 0 {
			return
		}
		for _, sig := range [...]unix.Signal{unix.SIGSTOP, unix.SIGKILL} {
			for _, pid := range list {
				unix.Kill(pid, sig)
			}
			if sig == unix.SIGSTOP {
				list = descent.Descendants()
			}
		}
		for {
			pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			if err != nil || pid <= 0 {
				break
			}
		}
		time.Sleep(time.Millisecond)
	}
}

// removeCgroups removes the cgroups that have the word in their names, which the tests of this
// jail alone have.
func removeCgroups(word string) {
	var dirs []string
	filepath.WalkDir("/sys/fs/cgroup", func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.Contains(path, "-"+word) {
			dirs = append(dirs, path)
		}
		return nil
	})
	for i := len(dirs) - 1; i >= 0; i-- {
		unix.Rmdir(dirs[i])
	}
}

// guard looks after inodes of the host that a mutant's container may spoil, and
// with them every program of the machine.
type guard struct {
	mutex sync.Mutex
	was   map[string]unix.Stat_t
}

func (g *guard) look() error {
	g.was = map[string]unix.Stat_t{}
	for _, path := range []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"} {
		var st unix.Stat_t
		switch err := unix.Stat(path, &st); err {
		case nil:
			g.was[path] = st
		case unix.ENOENT:
		default:
			return fmt.Errorf("stat %s: %w", path, err)
		}
	}
	return nil
}

// restore gives back the modes and owners.
func (g *guard) restore() error {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	for path, was := range g.was {
		var now unix.Stat_t
		if err := unix.Stat(path, &now); err != nil {
			return fmt.Errorf("stat %s: %w", path, err)
		}
		if now.Mode == was.Mode && now.Uid == was.Uid && now.Gid == was.Gid {
			continue
		}
		fmt.Printf("mutants: %s of this machine was changed; it is put back\n", path)
		if err := errors.Join(unix.Chown(path, int(was.Uid), int(was.Gid)), unix.Chmod(path, was.Mode&0o7777)); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}
