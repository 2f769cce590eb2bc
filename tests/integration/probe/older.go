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
		list, ok := lacks[name]
		if !ok {
			return "", fmt.Errorf("unknown lack %q", name)
		}
		for _, l := range list {
			rules = append(rules, l.rules()...)
		}
	}
	rules = append(rules, ret(unix.SECCOMP_RET_ALLOW))
	// The filter is the thread's that executes. Needs CAP_SYS_ADMIN: without it the
	// containers would have no_new_privs.
	runtime.LockOSThread()
	filter := unix.SockFprog{Len: uint16(len(rules)), Filter: &rules[0]}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&filter))); errno != 0 {
		return "", fmt.Errorf("seccomp: %w", errno)
	}
	return "", unix.Exec(path, args[1:], os.Environ())
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
