package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lack is what a kernel without something answers to a call: always, or where an
// argument has one of the bits, or is the value.
type lack struct {
	nr    uint32
	errno unix.Errno
	arg   int // -1 is always
	bits  uint32
	value uint32
}

// lacks are what older kernels than the newest do not have, by the name that a test uses.
//
// Source: the kernel's history; what a kernel does not know is ENOSYS or EINVAL.
var lacks = map[string][]lack{
	"open_tree_attr": {{nr: unix.SYS_OPEN_TREE_ATTR, errno: unix.ENOSYS, arg: -1}}, // 6.15
	"memfd-exec":     {{nr: unix.SYS_MEMFD_CREATE, errno: unix.EINVAL, arg: 1, bits: unix.MFD_EXEC | unix.MFD_NOEXEC_SEAL}},
	"procfs-pidns":   {{nr: unix.SYS_FSCONFIG, errno: unix.EINVAL, arg: 1, value: unix.FSCONFIG_SET_FD}}, // 6.18
	"faccessat2":     {{nr: unix.SYS_FACCESSAT2, errno: unix.ENOSYS, arg: -1}},                           // a filter around Hutch
	"faccessat2-no":  {{nr: unix.SYS_FACCESSAT2, errno: unix.EPERM, arg: -1}},                            // an older filter around Hutch
	"keys":           {{nr: unix.SYS_KEYCTL, errno: unix.ENOSYS, arg: -1}},                               // built without
	"memory":         {{nr: unix.SYS_CLONE3, errno: unix.ENOMEM, arg: -1}},                               // a full cgroup
}

// deniable are the calls that a filter around the runtime may deny: all that are newer than
// the oldest profiles which are still about, and what those leave out on purpose.
var deniable = map[string]uint32{
	"bpf": unix.SYS_BPF, "clone3": unix.SYS_CLONE3, "close_range": unix.SYS_CLOSE_RANGE, "epoll_pwait2": unix.SYS_EPOLL_PWAIT2,
	"execveat": unix.SYS_EXECVEAT, "faccessat2": unix.SYS_FACCESSAT2, "fsconfig": unix.SYS_FSCONFIG, "fsmount": unix.SYS_FSMOUNT,
	"fsopen": unix.SYS_FSOPEN, "io_uring_setup": unix.SYS_IO_URING_SETUP, "keyctl": unix.SYS_KEYCTL, "membarrier": unix.SYS_MEMBARRIER,
	"memfd_create": unix.SYS_MEMFD_CREATE, "mount_setattr": unix.SYS_MOUNT_SETATTR, "move_mount": unix.SYS_MOVE_MOUNT,
	"open_tree": unix.SYS_OPEN_TREE, "openat2": unix.SYS_OPENAT2, "pidfd_getfd": unix.SYS_PIDFD_GETFD, "pidfd_open": unix.SYS_PIDFD_OPEN,
	"pidfd_send_signal": unix.SYS_PIDFD_SEND_SIGNAL, "renameat2": unix.SYS_RENAMEAT2, "rseq": unix.SYS_RSEQ, "statx": unix.SYS_STATX,
}

// lacking returns what a name stands for: one of lacks, or a call of deniable with :EPERM or
// :ENOSYS behind it.
func lacking(name string) ([]lack, error) {
	if list, ok := lacks[name]; ok {
		return list, nil
	}
	call, errno, _ := strings.Cut(name, ":")
	nr, ok := deniable[call]
	e := map[string]unix.Errno{"EPERM": unix.EPERM, "ENOSYS": unix.ENOSYS}[errno]
	if !ok || e == 0 {
		return nil, fmt.Errorf("unknown lack %q", name)
	}
	return []lack{{nr: nr, errno: e, arg: -1}}, nil
}

// older runs a command where the kernel lacks what the first argument names, or all
// that it names with a comma between them.
func older(args []string) (string, error) {
	if len(args) < 2 {
		return "", fmt.Errorf("older LACK[,LACK...] COMMAND [ARG...]")
	}
	path, err := exec.LookPath(args[1])
	if err != nil {
		return "", err
	}
	var rules []unix.SockFilter
	for name := range strings.SplitSeq(args[0], ",") {
		list, err := lacking(name)
		if err != nil {
			return "", err
		}
		for _, l := range list {
			rules = append(rules, l.rules()...)
		}
	}
	rules = append(rules, ret(unix.SECCOMP_RET_ALLOW))
	// The filter is the thread's that executes. Without CAP_SYS_ADMIN the containers have
	// no_new_privs.
	runtime.LockOSThread()
	if err := filter(rules); err != nil {
		return "", fmt.Errorf("seccomp: %w", err)
	}
	return "", unix.Exec(path, args[1:], os.Environ())
}

// filter loads a filter, with no_new_privs where that takes it.
func filter(rules []unix.SockFilter) error {
	load := func() unix.Errno {
		p := unix.SockFprog{Len: uint16(len(rules)), Filter: &rules[0]}
		_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&p)))
		return errno
	}
	errno := load()
	if errno == unix.EACCES {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return err
		}
		errno = load()
	}
	if errno != 0 {
		return errno
	}
	return nil
}

func ret(action uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
}

// load is the word of struct seccomp_data at this place.
func load(at int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: uint32(at)}
}

// rules refuse the call and fall through for all others.
func (l lack) rules() []unix.SockFilter {
	refuse := ret(unix.SECCOMP_RET_ERRNO | uint32(l.errno))
	const equal, any = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
	if l.arg < 0 {
		return []unix.SockFilter{load(0), {Code: equal, K: l.nr, Jf: 1}, refuse}
	}
	test := unix.SockFilter{Code: equal, K: l.value, Jf: 1}
	if l.bits != 0 {
		test = unix.SockFilter{Code: any, K: l.bits, Jf: 1}
	}
	low := 16 + 8*l.arg
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		low += 4
	}
	return []unix.SockFilter{load(0), {Code: equal, K: l.nr, Jf: 3}, load(low), test, refuse}
}
