// Package proc tells whether a process that was seen before is still there: a
// process id alone does not say, since the kernel gives ids out again. A process
// is known by its id and its start time, and held by a pidfd.
//
// All ids are those of the caller's pid namespace, and /proc must be of it.
package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
)

// stat is what this package reads of /proc/PID/stat.
type stat struct {
	start   uint64 // field 22, clock ticks since boot
	threads uint64 // field 20, those that live and a leader that is a zombie
	flags   uint64 // field 9
	pending uint64 // field 31, signals for this thread alone, a bit each
	state   byte   // field 3
}

// exiting and forkNoExec are PF_EXITING and PF_FORKNOEXEC of field 9: the thread
// is on its way out, the process has not executed a program.
//
// Source: linux/sched.h.
const (
	exiting    = 0x4
	forkNoExec = 0x40
)

// StartTime returns when the process pid was started, in clock ticks since boot
// (field 22 of /proc/PID/stat), and its state, as in 'R', 'S', 'Z'. The error is
// unix.ESRCH, wrapped, when there is no such process.
//
// Source: proc_pid_stat(5).
func StartTime(pid int) (start uint64, state byte, err error) {
	s, err := read(pid)
	return s.start, s.state, err
}

// Alive reports whether the process pid that was started at start is there and
// runs. A zombie has ended, but not when only its main thread has: the rest of
// the process goes on behind it. What cannot be read is taken for alive unless
// it is certain that it is not there.
func Alive(pid int, start uint64) bool {
	s, err := read(pid)
	if err != nil {
		return !gone(err)
	}
	return s.start == start && !s.ended()
}

// EndedBeforeExec reports whether the process pid that was started at start has ended
// without having executed a program. False stands for "not known" too: when its
// parent has waited for it nobody can tell.
func EndedBeforeExec(pid int, start uint64) bool {
	s, err := read(pid)
	return err == nil && s.start == start && s.ended() && s.flags&forkNoExec != 0
}

// Threads returns the ids of the threads of the process pid, an ended main thread included. The
// error is unix.ESRCH, wrapped, when there is no such process.
func Threads(pid int) ([]int, error) {
	path := "/proc/" + strconv.Itoa(pid) + "/task"
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = unix.ESRCH
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	out := make([]int, 0, len(entries))
	for _, e := range entries {
		if tid, err := strconv.Atoi(e.Name()); err == nil {
			out = append(out, tid)
		}
	}
	return out, nil
}

// Uninterruptible reports whether each thread of the process pid sleeps where no signal reaches
// it, or has ended: none runs, or waits for a processor. Of a process that is gone it is false.
func Uninterruptible(pid int) bool {
	threads, err := Threads(pid)
	if err != nil {
		return false
	}
	for _, tid := range threads {
		switch _, state, err := StartTime(tid); {
		case err != nil, state == 'D', state == 'Z', state == 'X':
		default:
			return false
		}
	}
	return true
}

// Exits reports whether the thread tid of the process pid has ended or is about to: it
// has SIGKILL pending, which the kernel sends to each thread of a process that ends.
// The error is unix.ESRCH, wrapped, when there is no such thread; the main thread of
// a process is there as long as that is.
func Exits(pid, tid int) (bool, error) {
	s, err := readStat("/proc/" + strconv.Itoa(pid) + "/task/" + strconv.Itoa(tid) + "/stat")
	const kill = 1 << (unix.SIGKILL - 1)
	return s.flags&exiting != 0 || s.pending&kill != 0 || s.state == 'Z' || s.state == 'X', err
}

func (s stat) ended() bool {
	return s.state == 'X' || s.state == 'Z' && s.threads <= 1
}

// Pidfd returns a pidfd of the process pid, which is close-on-exec. The error is unix.ESRCH,
// wrapped, when there is none: also for the id of a thread, and of a process that is being
// reaped, which before Linux 6.14 is EINVAL.
//
// Source: pidfd_open(2); Linux kernel/pid.c, pidfd_create.
func Pidfd(pid int) (int, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if (err == unix.EINVAL || err == unix.ENOENT) && pid > 0 {
		err = unix.ESRCH
	}
	if err != nil {
		return -1, fmt.Errorf("pidfd_open %d: %w", pid, err)
	}
	return fd, nil
}

// OpenPidfd returns a pidfd of the process pid that was started at start, which is
// close-on-exec. The error is unix.ESRCH, wrapped, when that process has ended,
// as a zombie too, or the id belongs to another one.
//
// Source: pidfd_open(2).
func OpenPidfd(pid int, start uint64) (int, error) {
	fd, err := Pidfd(pid)
	if err != nil {
		return -1, err
	}
	// The id cannot be given out again unnoticed from here on: had the process
	// that fd holds ended before the reading, the start time would differ.
	s, err := read(pid)
	if err == nil && (s.start != start || s.ended()) {
		err = fmt.Errorf("process %d is another one, or has ended: %w", pid, unix.ESRCH)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// gone reports whether err says for certain that there is no such process.
func gone(err error) bool {
	e, ok := err.(*statError)
	return ok && e.errno == unix.ESRCH
}

// statError is a stat file that cannot be had.
type statError struct {
	path  string
	errno unix.Errno
}

func (e *statError) Error() string { return "read " + e.path + ": " + e.errno.Error() }

func (e *statError) Unwrap() error { return e.errno }

// read reads /proc/PID/stat.
func read(pid int) (stat, error) {
	var room [40]byte
	path := append(room[:0], "/proc/"...)
	path = strconv.AppendInt(path, int64(pid), 10)
	path = append(path, "/stat"...)
	return readStat(string(path))
}

// readStat reads the stat file path of a process or thread.
func readStat(path string) (stat, error) {
	var text [1024]byte // the kernel's line is shorter: 52 fields
	n, err := readFile(path, text[:])
	if err != nil {
		return stat{}, &statError{path, err.(unix.Errno)}
	}
	s, ok := parse(text[:n])
	if !ok {
		return stat{}, fmt.Errorf("%s: %q is not of the form of proc_pid_stat(5)", path, text[:n])
	}
	return s, nil
}

// readFile reads the start of the file path, as much as one read gives.
func readFile(path string, p []byte) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		err = unix.ESRCH // as read says of a process that ends meanwhile
	}
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	return sys.Read(fd, p)
}

// parse takes a stat line apart. The command's name, in brackets, may itself
// hold brackets, blanks and newlines, so the last bracket ends it.
func parse(line []byte) (stat, bool) {
	var s stat
	i := bytes.LastIndexByte(line, ')')
	if i < 0 || i+2 >= len(line) || line[i+1] != ' ' {
		return s, false
	}
	rest := line[i+2:]
	s.state = rest[0]
	for field := 3; ; field++ {
		end := bytes.IndexByte(rest, ' ')
		if end < 0 {
			return s, false
		}
		switch field {
		case 3:
			if end != 1 {
				return s, false
			}
		case 9, 20, 22, 31:
			v, ok := number(rest[:end])
			switch {
			case !ok:
				return s, false
			case field == 9:
				s.flags = v
			case field == 20:
				s.threads = v
			case field == 22:
				s.start = v
			default:
				s.pending = v
				return s, true
			}
		}
		rest = rest[end+1:]
	}
}

// number reads a decimal number.
func number(p []byte) (uint64, bool) {
	var v uint64
	for _, c := range p {
		d := uint64(c - '0')
		if d > 9 || v > (1<<64-1-d)/10 {
			return 0, false
		}
		v = v*10 + d
	}
	return v, len(p) > 0
}
