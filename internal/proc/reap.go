package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
)

// reapPause is the time between two looks whether another process has let a child go.
const reapPause = 5 * time.Millisecond

// Wait waits for the end of the child pid of pidfd, reaps it, and returns its wait status. Without
// a pidfd, which is -1 then, it is wait4(2).
//
// A child that another process traces is not its parent's to reap before its tracer has waited
// for it, which a hostile one never does. So it is given a second: then the status is what the
// kernel shows of the child, which stays a zombie.
//
// Source: ptrace(2), "Death under ptrace"; Linux kernel/exit.c, wait_consider_task.
func Wait(pid, pidfd int) (unix.WaitStatus, error) {
	if pidfd < 0 {
		return sys.Wait(pid)
	}
	if ws, reaped, err := reap(pid); reaped || err != nil {
		return ws, err
	}
	if _, err := sys.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, time.Time{}); err != nil {
		return 0, fmt.Errorf("poll: %w", err)
	}
	for end := time.Now().Add(reapWait); ; time.Sleep(reapPause) {
		if ws, reaped, err := reap(pid); reaped || err != nil {
			return ws, err
		}
		if !time.Now().Before(end) {
			return shown(pid)
		}
	}
}

// reap reaps the child pid if that can be done now.
func reap(pid int) (ws unix.WaitStatus, reaped bool, err error) {
	for {
		got, err := unix.Wait4(pid, &ws, unix.WNOHANG, nil)
		if err != unix.EINTR {
			return ws, got == pid, err
		}
	}
}

// exitField is the number of the exit code in /proc/PID/stat.
const exitField = 52

// shown returns how the process pid, a zombie, has ended, by what the kernel shows of it to who
// may trace it. To others it shows zero.
//
// Source: proc_pid_stat(5), exit_code; namespaces(7), which who may trace a process may read.
func shown(pid int) (unix.WaitStatus, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	if _, err := os.Readlink(dir + "/ns/user"); err != nil {
		return 0, fmt.Errorf("it has ended, is traced by another process, and how it has ended is not shown: %w", err)
	}
	text, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]) // from field 3
	if len(fields) <= exitField-3 {
		return 0, fmt.Errorf("%s/stat: %q is not of the form of proc_pid_stat(5)", dir, text)
	}
	code, err := strconv.ParseUint(string(fields[exitField-3]), 10, 32)
	return unix.WaitStatus(code), err
}
