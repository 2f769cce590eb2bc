package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testplain"
)

// inWord begins the command line of the process that takes on a surrounding and
// executes the program.
const inWord = "in"

// surrounding is the state of a caller.
type surrounding struct {
	name    string
	set     func() error
	env     func(env []string) []string
	pipe    bool     // standard input and output are pipes
	session bool     // of its own, without a terminal
	init    bool     // the program is not the first process of its pid namespace
	passes  []string // what a container is to have of it
}

// enter takes on the surrounding and executes the program. It returns only an error.
func enter(name string, line []string) error {
	runtime.LockOSThread()
	for _, s := range surroundings() {
		if s.name != name {
			continue
		}
		if s.init && os.Getpid() != 1 {
			return again(s, line)
		}
		env := os.Environ()
		if s.env != nil {
			env = s.env(env)
		}
		if s.set != nil {
			if err := s.set(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		if s.init {
			return reap(line, env)
		}
		return fmt.Errorf("execute %s: %w", line[0], unix.Exec(line[0], line, env))
	}
	return fmt.Errorf("execute %s: %w", line[0], unix.Exec(line[0], line, os.Environ()))
}

// again is this process as the first one of a pid namespace.
func again(s surrounding, line []string) error {
	cmd := exec.Command("/proc/self/exe", append([]string{inWord, s.name}, line...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); cmd.ProcessState == nil {
		return err
	}
	os.Exit(cmd.ProcessState.ExitCode())
	return nil
}

// reap runs the program and waits for whatever becomes a child, until it has ended.
func reap(line, env []string) error {
	p, err := os.StartProcess(line[0], line, &os.ProcAttr{Env: env, Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		return err
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if err != nil && err != unix.EINTR {
			return err
		}
		if pid == p.Pid {
			os.Exit(status.ExitStatus())
		}
	}
}

func ignoring(signals ...unix.Signal) func() error {
	return func() error {
		for _, s := range signals {
			if err := testplain.Ignore(s); err != nil {
				return err
			}
		}
		return nil
	}
}

func blocking(signals ...unix.Signal) func() error {
	return func() error { return testplain.Block(signals...) }
}

func every() (list []unix.Signal) {
	for s := unix.Signal(1); s <= 64; s++ {
		if s != unix.SIGKILL && s != unix.SIGSTOP {
			list = append(list, s)
		}
	}
	return list
}

func umask(mode int) func() error { return func() error { unix.Umask(mode); return nil } }

// limit sets a limit past package syscall, which would remember and restore Go's own.
func limit(which int, soft uint64) func() error {
	return func() error {
		var l unix.Rlimit
		if err := unix.Prlimit(0, which, nil, &l); err != nil {
			return err
		}
		l.Cur = min(soft, l.Max)
		return unix.Prlimit(0, which, &l, nil)
	}
}

func with(values ...string) func([]string) []string {
	return func(env []string) []string {
		var out []string
		for _, v := range env {
			name, _, _ := strings.Cut(v, "=")
			keep := true
			for _, w := range values {
				n, _, _ := strings.Cut(w, "=")
				keep = keep && n != name
			}
			if keep {
				out = append(out, v)
			}
		}
		return append(out, values...)
	}
}

// needed are the variables by which the programs find what is built for them.
func needed(env []string) (out []string) {
	for _, v := range env {
		for _, n := range []string{"RUNTIME=", "PROBE=", "HUTCH_TEST_BOUND="} {
			if strings.HasPrefix(v, n) {
				out = append(out, v)
			}
		}
	}
	return out
}

func longDirectory(env []string) []string {
	dir := filepath.Join(filepath.Dir(valueOf(env, "PROBE")), "a long name with spaces and 'quotes', "+strings.Repeat("x", 100))
	_ = os.MkdirAll(dir, 0o755)
	return with("TMPDIR=" + dir)(env)
}

func valueOf(env []string, name string) string {
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

func closing(fds ...int) func() error {
	return func() error {
		for _, fd := range fds {
			if err := unix.Close(fd); err != nil {
				return err
			}
		}
		return nil
	}
}

// leaving leaves descriptors open for the program, of files, a directory and a pipe.
func leaving() error {
	for fd := 3; fd < 10; fd++ {
		path := []string{"/dev/null", "/", "/proc/self/status"}[fd%3]
		n, err := unix.Open(path, unix.O_RDONLY, 0)
		if err != nil {
			return err
		}
		if n == fd {
			continue
		}
		if err := unix.Dup3(n, fd, 0); err != nil {
			return err
		}
	}
	return nil
}

func scheduled(policy uint32) func() error {
	return func() error {
		return unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy}, 0)
	}
}

func oneCPU() error {
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return err
	}
	for i := range 1024 {
		if all.IsSet(i) {
			one.Set(i)
			break
		}
	}
	return unix.SchedSetaffinity(0, &one)
}

func surroundings() []surrounding {
	return []surrounding{
		{name: "plain"},
		{name: "SIGHUP ignored (nohup)", set: ignoring(unix.SIGHUP)},
		{name: "SIGINT, SIGQUIT ignored (a shell's &)", set: ignoring(unix.SIGINT, unix.SIGQUIT)},
		{name: "SIGTERM ignored", set: ignoring(unix.SIGTERM)},
		{name: "SIGPIPE ignored (Python, conmon)", set: ignoring(unix.SIGPIPE)},
		{name: "SIGCHLD ignored", set: ignoring(unix.SIGCHLD)},
		{name: "SIGUSR1, SIGTSTP, SIGTTOU ignored", set: ignoring(unix.SIGUSR1, unix.SIGTSTP, unix.SIGTTOU, unix.SIGTTIN)},
		{name: "signals 32, 33, 34, 64 ignored", set: ignoring(32, 33, 34, 64)},
		{name: "all signals ignored", set: ignoring(every()...)},
		{name: "SIGHUP, SIGINT, SIGTERM, SIGUSR1 blocked", set: blocking(unix.SIGHUP, unix.SIGINT, unix.SIGTERM, unix.SIGUSR1)},
		{name: "SIGCHLD, SIGPIPE, SIGWINCH blocked", set: blocking(unix.SIGCHLD, unix.SIGPIPE, unix.SIGWINCH)},
		{name: "all signals blocked", set: blocking(every()...)},
		{name: "umask 000", set: umask(0), passes: masked},
		{name: "umask 077", set: umask(0o077), passes: masked},
		{name: "umask 777", set: umask(0o777), passes: masked},
		{name: "no environment", env: needed},
		{name: "an odd environment", env: with("PATH=.:/no/such:relative", "HOME=here", "TERM=no-such-terminal", "XDG_RUNTIME_DIR=/no/such", "TMPDIR=/no/such",
			"LANG=tr_TR.UTF-8", "LC_ALL=tr_TR.UTF-8", "LISTEN_FDS=3", "LISTEN_PID=1", "CDPATH=/", "POSIXLY_CORRECT=1")},
		{name: "a long TMPDIR with spaces", env: longDirectory},
		{name: "GOMAXPROCS=1", env: with("GOMAXPROCS=1")},
		{name: "no controlling terminal (setsid)", session: true},
		{name: "standard input closed", set: closing(0)},
		{name: "pipes", pipe: true},
		{name: "descriptors 3 to 9 left open", set: leaving},
		{name: "64 open files", set: limit(unix.RLIMIT_NOFILE, 64), passes: []string{"files"}},
		{name: "no core files", set: limit(unix.RLIMIT_CORE, 0), passes: []string{"core"}},
		{name: "nice 10", set: func() error { return unix.Setpriority(unix.PRIO_PROCESS, 0, 10) }, passes: []string{"nice"}},
		{name: "SCHED_BATCH", set: scheduled(unix.SCHED_BATCH), passes: []string{"nice"}},
		{name: "SCHED_IDLE", set: scheduled(unix.SCHED_IDLE), passes: []string{"nice"}},
		{name: "one processor", set: oneCPU, passes: []string{"cpus"}},
		{name: "in cgroups", set: enterCgroups},
		{name: "a private mount namespace", set: mountNamespace(unix.MS_PRIVATE)},
		{name: "a slave mount namespace", set: mountNamespace(unix.MS_SLAVE)},
		{name: "others mount and unmount", set: restless},
		{name: "a pid namespace", set: ownProc, init: true},
		{name: "/nonexistent exists, /etc/subuid does not", set: anotherRoot},
	}
}

// masked is what a umask is for: the process's own, as the specification says, that of
// hooks, and files on the host.
var masked = []string{"umask", "file"}
