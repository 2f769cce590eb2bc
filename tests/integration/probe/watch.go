package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// watch runs a command under ptrace and looks at each process of it that is in
// another pid namespace, at each of its system calls, until it has executed a
// program: what the processes of that namespace could see or take. What it sees
// goes to a file, a line of JSON each.
//
//	probe watch FILE UID[:HOLD] COMMAND WORDS
//
// With HOLD, a folder with two fifos, each such stop is also told to a process
// that hunts: HOLD/prey gets "STOP PID CALL\n", PID as in the innermost namespace and
// CALL the system call's number, and the process goes on when a line comes from HOLD/done.
//
// Source: ptrace(2), PTRACE_GET_SYSCALL_INFO.
func watch(args []string) (string, error) {
	if len(args) < 3 {
		return "", fmt.Errorf("usage: probe watch FILE UID[:HOLD] COMMAND WORDS")
	}
	f, err := os.Create(args[0])
	if err != nil {
		return "", err
	}
	id, hold, _ := strings.Cut(args[1], ":")
	uid, err := strconv.Atoi(id)
	if err != nil {
		return "", err
	}
	w := &watcher{out: json.NewEncoder(f), threads: map[int]*thread{}}
	if w.mounts, err = mountIDs("self"); err != nil {
		return "", err
	}
	if hold != "" {
		if w.prey, err = os.OpenFile(hold+"/prey", os.O_RDWR, 0); err != nil {
			return "", err
		}
		done, err := os.OpenFile(hold+"/done", os.O_RDWR, 0)
		if err != nil {
			return "", err
		}
		w.done = bufio.NewReader(done)
	}
	cmd := exec.Command(args[2], args[3:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	for fd := 3; fd < 64; fd++ { // what the caller hands on, and no more
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			for len(cmd.ExtraFiles) < fd-3 {
				cmd.ExtraFiles = append(cmd.ExtraFiles, nil)
			}
			cmd.ExtraFiles = append(cmd.ExtraFiles, os.NewFile(uintptr(fd), "handed on"))
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if uid != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	code, err := w.follow(cmd.Process.Pid)
	if err != nil {
		return "", err
	}
	os.Exit(code)
	return "", nil
}

// Sight is one look at a process.
type Sight struct {
	Pid   int        `json:"pid"`
	Call  uint64     `json:"call"` // number of the system call
	Exec  bool       `json:"exec"` // it is execve
	Alone bool       `json:"alone"`
	Files []fileSeen `json:"files"`
	Caps  string     `json:"caps"` // CapEff CapPrm CapInh CapBnd CapAmb

	Dumpable int `json:"dumpable"` // -1 for unknown
}

// fileSeen is a descriptor.
type fileSeen struct {
	Fd     int    `json:"fd"`
	Target string `json:"target"`
	Host   bool   `json:"host"` // it is on a mount of the host's
}

type thread struct {
	inCall  bool
	execed  bool // the program of the container: not looked at any more
	started bool
}

type watcher struct {
	out     *json.Encoder
	prey    *os.File // fifos to a hunter and from it
	done    *bufio.Reader
	mounts  map[string]bool
	threads map[int]*thread
	stops   int
}

const traceOptions = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK |
	unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACEEXEC

// follow lets the processes go from stop to stop, until all have ended or have
// executed a program of the container. It returns the first one's exit code.
func (w *watcher) follow(first int) (code int, err error) {
	for begun := false; ; {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, unix.WALL, nil)
		if err == unix.EINTR {
			continue
		}
		if err == unix.ECHILD {
			return code, nil
		}
		if err != nil {
			return 0, fmt.Errorf("wait4: %w", err)
		}
		if ws.Exited() || ws.Signaled() {
			delete(w.threads, pid)
			if pid == first {
				code = ws.ExitStatus()
				if ws.Signaled() {
					code = 128 + int(ws.Signal())
				}
			}
			continue
		}
		if !begun {
			begun = true
			if err := unix.PtraceSetOptions(pid, traceOptions); err != nil {
				return 0, fmt.Errorf("ptrace options: %w", err)
			}
		}
		w.stopped(pid, ws)
	}
}

func (w *watcher) stopped(pid int, ws unix.WaitStatus) {
	t := w.threads[pid]
	if t == nil {
		t = &thread{}
		w.threads[pid] = t
	}
	deliver := 0
	switch sig := ws.StopSignal(); {
	case sig == unix.SIGTRAP|0x80:
		t.inCall = !t.inCall
		if t.inCall && !t.execed {
			w.look(pid)
		}
	case sig == unix.SIGTRAP && ws.TrapCause() == unix.PTRACE_EVENT_EXEC:
		if inside(pid) {
			t.execed = true
			// Its children are the container's too: nothing more is to be seen.
			delete(w.threads, pid)
			unix.PtraceDetach(pid)
			return
		}
	case sig == unix.SIGTRAP && ws.TrapCause() > 0:
	case sig == unix.SIGSTOP && !t.started:
		t.started = true // the first stop of a new thread
	case sig == unix.SIGTRAP && !t.started:
		t.started = true // the stop after the first execve
	default:
		deliver = int(sig)
	}
	t.started = true
	unix.PtraceSyscall(pid, deliver)
}

// inside reports whether a process is in a pid namespace below this one's.
func inside(pid int) bool {
	return len(namespaceIDs(pid)) > 1
}

// namespaceIDs are a process's ids, from this namespace to its own.
func namespaceIDs(pid int) []string {
	return strings.Fields(statusLine(pid, "NSpid:"))
}

func statusLine(pid int, name string) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.SplitSeq(string(data), "\n") {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// syscallInfo is the head of struct ptrace_syscall_info.
type syscallInfo struct {
	op   uint8
	_    [3]uint8
	arch uint32
	_    [2]uint64
	nr   uint64
	args [6]uint64
	_    [2]uint64
}

// look writes down what a process at the entry of a system call has, when it can
// be seen from inside or is about to execute a program there.
func (w *watcher) look(pid int) {
	const getSyscallInfo = 0x420e
	var info syscallInfo
	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, getSyscallInfo, uintptr(pid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0); errno != 0 {
		return
	}
	if !inside(pid) {
		return
	}
	ids := namespaceIDs(pid)
	s := Sight{Pid: pid, Call: info.nr, Exec: info.nr == unix.SYS_EXECVE || info.nr == unix.SYS_EXECVEAT,
		Alone: ids[len(ids)-1] == "1", Files: w.files(pid), Dumpable: -1}
	if w.prey == nil { // a hunter sees the process's own calls only
		s.Dumpable = askDumpable(pid)
	}
	for _, set := range []string{"CapEff:", "CapPrm:", "CapInh:", "CapBnd:", "CapAmb:"} {
		s.Caps += statusLine(pid, set) + " "
	}
	w.out.Encode(s)
	w.hunted(ids[len(ids)-1], info.nr)
}

// hunted lets the hunter have a go at the process.
func (w *watcher) hunted(pid string, call uint64) {
	if w.prey == nil {
		return
	}
	w.stops++
	fmt.Fprintf(w.prey, "%d %s %d\n", w.stops, pid, call)
	w.done.ReadString('\n')
}

func (w *watcher) files(pid int) []fileSeen {
	dir := fmt.Sprintf("/proc/%d/", pid)
	entries, _ := os.ReadDir(dir + "fd")
	// Before the pivot its own mounts are copies of the host's.
	var copies map[string]bool
	if sameFile(dir+"root", "/") {
		copies, _ = mountIDs(strconv.Itoa(pid))
	}
	var list []fileSeen
	for _, e := range entries {
		target, err := os.Readlink(dir + "fd/" + e.Name())
		if err != nil {
			continue
		}
		fd, _ := strconv.Atoi(e.Name())
		info, _ := os.ReadFile(dir + "fdinfo/" + e.Name())
		host := false
		for line := range strings.SplitSeq(string(info), "\n") {
			if id, ok := strings.CutPrefix(line, "mnt_id:"); ok {
				id = strings.TrimSpace(id)
				host = w.mounts[id] || copies[id]
			}
		}
		host = host || sameFile(dir+"fd/"+e.Name(), "/") // a root that was unmounted
		list = append(list, fileSeen{fd, target, host})
	}
	return list
}

func sameFile(a, b string) bool {
	var x, y unix.Stat_t
	return unix.Stat(a, &x) == nil && unix.Stat(b, &y) == nil && x.Dev == y.Dev && x.Ino == y.Ino
}

// mountIDs are the ids of the mounts of a process's namespace.
func mountIDs(pid string) (map[string]bool, error) {
	f, err := os.Open("/proc/" + pid + "/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ids := map[string]bool{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		id, _, _ := strings.Cut(lines.Text(), " ")
		ids[id] = true
	}
	return ids, lines.Err()
}
