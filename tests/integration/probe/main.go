// Probe is the containers' program in the integration tests: it says what the
// kernel says about the process that it is, where a shell cannot ask. One
// subcommand, a line of text as answer; status 1 and a reason when the call
// fails. Go's own start-up changes signal dispositions and the soft limit of
// open files: those two are asked with busybox.
//
//	probe affinity        CPUs the process may run on
//	probe clock NAME      seconds of the clock boottime or monotonic
//	probe deface PATH...  change what can be changed of files but their content
//	probe fds             open descriptors that execve handed on
//	probe hunt FOLDER ...  what may be taken of processes that enter, see hunt.go
//	probe ioprio          I/O class and priority
//	probe fillflight UID LIMIT  have as many descriptors on their way as a user may
//	probe fillkeys UID    use up the quota of keys of a user
//	probe keep FILE       count for ever by what a checkpoint has to keep, see keep.go
//	probe keyring         description of the session keyring
//	probe leak FILE       write the open descriptors, with what they are, to a file
//	probe mempolicy       NUMA policy mode (with flags) and nodes
//	probe older LACK COMMAND...  run it as where the kernel lacks that, see older.go
//	probe personality     execution domain, hexadecimal
//	probe sched [PID]     policy nice priority flags runtime deadline period
//	probe seize FOLDER    trace the processes that say their number there, and let none go, see seize.go
//	probe send SOCK TEXT  send TEXT to the datagram socket SOCK
//	probe session         process id, group and session id
//	probe stat PATH...    type, mode, owner, device number, link target
//	probe tty             whether 0, 1, 2 are terminals, their size and names
//	probe watch FILE UID COMMAND...  what may be seen of a command, see watch.go
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

func init() {
	// Scheduling and NUMA policy belong to a thread: stay on the first one.
	runtime.LockOSThread()
}

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("no subcommand"))
	}
	commands := map[string]func([]string) (string, error){
		"affinity": affinity, "clock": clock, "deface": deface, "fds": fds, "fillflight": fillFlight, "fillkeys": fillKeys, "leak": leak, "hunt": hunt, "ioprio": ioprio, "keep": keep, "keyring": keyring,
		"mempolicy": mempolicy, "older": older, "personality": personality, "sched": sched, "seize": seize, "send": send,
		"session": session, "stat": stat, "tty": tty, "watch": watch,
	}
	f, ok := commands[os.Args[1]]
	if !ok {
		fail(fmt.Errorf("unknown subcommand %q", os.Args[1]))
	}
	text, err := f(os.Args[2:])
	if err != nil {
		fail(err)
	}
	fmt.Println(text)
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "probe: %v\n", err)
	os.Exit(1)
}

func affinity([]string) (string, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return "", fmt.Errorf("sched_getaffinity: %w", err)
	}
	var list []string
	for i := 0; i < len(set)*64; i++ {
		if set.IsSet(i) {
			list = append(list, fmt.Sprint(i))
		}
	}
	return strings.Join(list, ","), nil
}

func clock(args []string) (string, error) {
	id := int32(unix.CLOCK_BOOTTIME)
	if len(args) == 1 && args[0] == "monotonic" {
		id = unix.CLOCK_MONOTONIC
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		return "", fmt.Errorf("clock_gettime: %w", err)
	}
	return fmt.Sprint(ts.Sec), nil
}

// fds leaves out close-on-exec descriptors: Go's runtime made those itself.
func fds([]string) (string, error) {
	var list []string
	for fd := 0; fd < 1024; fd++ {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC != 0 {
			continue
		}
		list = append(list, fmt.Sprint(fd))
	}
	return strings.Join(list, " "), nil
}

// ioprio prints class and priority of the I/O scheduler, as ioprio_get(2)
// packs them: class << 13 | priority.
func ioprio([]string) (string, error) {
	const whoProcess = 1
	v, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, whoProcess, 0, 0)
	if errno != 0 {
		return "", fmt.Errorf("ioprio_get: %w", errno)
	}
	return fmt.Sprintf("class %d priority %d", v>>13, v&0x1fff), nil
}

func keyring([]string) (string, error) {
	id, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
	if err != nil {
		return "", fmt.Errorf("keyctl_get_keyring_ID: %w", err)
	}
	text, err := unix.KeyctlString(unix.KEYCTL_DESCRIBE, id)
	if err != nil {
		return "", fmt.Errorf("keyctl_describe: %w", err)
	}
	return text, nil
}

func mempolicy([]string) (string, error) {
	var mode int32
	var mask [16]uint64
	if _, _, errno := unix.Syscall6(unix.SYS_GET_MEMPOLICY, uintptr(unsafe.Pointer(&mode)),
		uintptr(unsafe.Pointer(&mask)), uintptr(len(mask)*64), 0, 0, 0); errno != 0 {
		return "", fmt.Errorf("get_mempolicy: %w", errno)
	}
	return fmt.Sprintf("mode %#x nodes %#x", mode, mask[0]), nil
}

func personality([]string) (string, error) {
	const query = 0xffffffff
	v, _, errno := unix.Syscall(unix.SYS_PERSONALITY, query, 0, 0)
	if errno != 0 {
		return "", fmt.Errorf("personality: %w", errno)
	}
	return fmt.Sprintf("%#x", v), nil
}

func sched(args []string) (string, error) {
	pid := 0
	if len(args) == 1 {
		if _, err := fmt.Sscan(args[0], &pid); err != nil {
			return "", err
		}
	}
	a, err := unix.SchedGetAttr(pid, 0)
	if err != nil {
		return "", fmt.Errorf("sched_getattr: %w", err)
	}
	return fmt.Sprintf("policy %d nice %d priority %d flags %d runtime %d deadline %d period %d",
		a.Policy, a.Nice, a.Priority, a.Flags, a.Runtime, a.Deadline, a.Period), nil
}

func send(args []string) (string, error) {
	if len(args) != 2 {
		return "", fmt.Errorf("usage: probe send SOCKET TEXT")
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("socket: %w", err)
	}
	if err := unix.Sendto(fd, []byte(args[1]), 0, &unix.SockaddrUnix{Name: args[0]}); err != nil {
		return "", fmt.Errorf("send to %s: %w", args[0], err)
	}
	return "sent", nil
}

func session([]string) (string, error) {
	sid, err := unix.Getsid(0)
	if err != nil {
		return "", fmt.Errorf("getsid: %w", err)
	}
	return fmt.Sprintf("pid %d group %d session %d", os.Getpid(), unix.Getpgrp(), sid), nil
}

func stat(paths []string) (string, error) {
	var list []string
	for _, path := range paths {
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			list = append(list, fmt.Sprintf("%s %v", path, err))
			continue
		}
		kind := map[uint32]string{
			unix.S_IFREG: "file", unix.S_IFDIR: "dir", unix.S_IFCHR: "char", unix.S_IFBLK: "block",
			unix.S_IFIFO: "fifo", unix.S_IFLNK: "link", unix.S_IFSOCK: "socket",
		}[st.Mode&unix.S_IFMT]
		text := fmt.Sprintf("%s %s %04o %d:%d", path, kind, st.Mode&0o7777, st.Uid, st.Gid)
		switch kind {
		case "char", "block":
			rdev := uint64(st.Rdev) // int32 or uint32 on some architectures
			text += fmt.Sprintf(" %d:%d", unix.Major(rdev), unix.Minor(rdev))
		case "link":
			target, err := os.Readlink(path)
			if err != nil {
				return "", err
			}
			text += " " + target
		}
		list = append(list, text)
	}
	return strings.Join(list, "\n"), nil
}

func tty([]string) (string, error) {
	var list []string
	for fd := 0; fd <= 2; fd++ {
		ws, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
		if err != nil {
			list = append(list, fmt.Sprintf("%d none", fd))
			continue
		}
		name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		if err != nil {
			return "", err
		}
		list = append(list, fmt.Sprintf("%d %s %dx%d", fd, name, ws.Col, ws.Row))
	}
	if fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC, 0); err == nil {
		list = append(list, "controlling")
		unix.Close(fd)
	}
	return strings.Join(list, ", "), nil
}
