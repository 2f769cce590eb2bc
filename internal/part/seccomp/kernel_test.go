package seccomp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testwait"
)

// childEnv names the profile that a re-executed test binary loads.
const childEnv = "HUTCH_SECCOMP_CHILD"

// probe is the call that the profiles of the kernel test decide on: Go's runtime
// and package os do not make it.
const probe = "sysinfo"

func kernelProfile(tb testing.TB, name string) *specs.LinuxSeccomp {
	if name == "docker" {
		s := readProfile(tb, name)
		s.Architectures = nil // Docker writes those of its machine, and this is amd64's
		return s
	}
	action, errno, _ := strings.Cut(name, " ")
	c := specs.LinuxSyscall{Names: []string{probe}, Action: specs.LinuxSeccompAction(action)}
	if errno != "" {
		n := uint(0)
		fmt.Sscan(errno, &n)
		c.ErrnoRet = &n
	}
	s := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{c}}
	if c.Action == specs.ActAllow {
		s.DefaultAction = specs.ActLog
	}
	if c.Action == specs.ActNotify {
		s.ListenerPath = "/agent"
	}
	return s
}

// TestKernelChild is the child of TestKernel: it loads a filter, makes calls, and
// prints what they return.
func TestKernelChild(t *testing.T) {
	name := os.Getenv(childEnv)
	if name == "" {
		t.Skip("needs " + childEnv + ": it is the child of TestKernel")
	}
	runtime.LockOSThread() // the filter is this thread's
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		t.Fatal(err)
	}
	f := mustCompile(t, kernelProfile(t, name), runtime.GOARCH)
	flags := f.Flags
	if f.Notify {
		flags |= unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	if name == string(specs.ActKill) || name == string(specs.ActKillThread) {
		go reportThread(unix.Gettid())
	}
	prog := unix.SockFprog{Len: uint16(len(f.Program)), Filter: &f.Program[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(flags), uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		t.Fatalf("seccomp: %v", errno)
	}
	if f.Notify {
		if err := unix.Sendmsg(3, []byte{1}, unix.UnixRights(int(fd)), nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	if name == "docker" {
		call := func(n uintptr, args ...uintptr) int {
			args = append(args, 0, 0, 0)
			_, _, errno := unix.Syscall(n, args[0], args[1], args[2])
			return int(errno)
		}
		fmt.Printf("personality %d %d, socket %d, mount %d, newer %d\n", call(unix.SYS_PERSONALITY, 0xffffffff), call(unix.SYS_PERSONALITY, 4),
			call(unix.SYS_SOCKET, unix.AF_VSOCK, unix.SOCK_STREAM), call(unix.SYS_MOUNT), call(505))
		os.Exit(0)
	}
	info := unix.Sysinfo_t{}
	value, _, errno := unix.RawSyscall(unix.SYS_SYSINFO, uintptr(unsafe.Pointer(&info)), 0, 0)
	fmt.Printf("value %d errno %d made %t\n", int(value), int(errno), info.Totalram != 0)
	os.Exit(0)
}

// reportThread prints that the thread is gone, and ends the process.
func reportThread(tid int) {
	for ; ; time.Sleep(time.Millisecond) { // the parent's test has the bound
		// The main thread of a process stays as a zombie.
		stat, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", tid))
		if err != nil || bytes.Contains(stat, []byte(") Z ")) || bytes.Contains(stat, []byte(") X ")) {
			fmt.Println("thread gone")
			os.Exit(0)
		}
	}
}

// TestKernel has the kernel decide by our filters, once for each action.
func TestKernel(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"SCMP_ACT_ALLOW", "value 0 errno 0 made true"},
		{"SCMP_ACT_LOG", "value 0 errno 0 made true"},
		{"SCMP_ACT_ERRNO", "value -1 errno 1 made false"},
		{"SCMP_ACT_ERRNO 77", "value -1 errno 77 made false"},
		{"SCMP_ACT_ERRNO 0", "value 0 errno 0 made false"},
		{"SCMP_ACT_TRACE", "value -1 errno 38 made false"},
		{"SCMP_ACT_KILL", "thread gone"},
		{"SCMP_ACT_KILL_THREAD", "thread gone"},
		{"SCMP_ACT_KILL_PROCESS", "signal: bad system call"},
		{"SCMP_ACT_TRAP", "SIGSYS: bad system call"},
		{"SCMP_ACT_NOTIFY", "value 4711 errno 0 made false"},
		{"docker", "personality 0 1, socket 1, mount 1, newer 38"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := runChild(t, tt.name); !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q in it", got, tt.want)
			}
		})
	}
}

// runChild returns what the child prints, and how it ended.
func runChild(t *testing.T, name string) string {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "our end"), os.NewFile(uintptr(pair[1]), "the child's end")
	defer ours.Close()
	defer theirs.Close()
	var out bytes.Buffer
	cmd := exec.CommandContext(testwait.Context(t), os.Args[0], "-test.run=^TestKernelChild$", "-test.timeout=0")
	cmd.Env = append(os.Environ(), childEnv+"="+name)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = &out, &out, []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	if name == string(specs.ActNotify) {
		if err := answer(pair[0]); err != nil {
			t.Error(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		fmt.Fprintf(&out, "%v", err)
	}
	return out.String()
}

// answer takes the listener from the child, and gives its one call a value.
//
// Source: seccomp_unotify(2).
func answer(socket int) error {
	data, rights := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(socket, data, rights, 0)
	if err != nil {
		return fmt.Errorf("recvmsg: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) != 1 {
		return fmt.Errorf("the child sent %d messages: %w", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return err
	}
	defer unix.Close(fds[0])
	const receive, send = 0xc0502100, 0xc0182101 // SECCOMP_IOCTL_NOTIF_RECV, _SEND
	var request [80]byte
	var reply [24]byte
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fds[0]), receive, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return fmt.Errorf("SECCOMP_IOCTL_NOTIF_RECV: %w", errno)
	}
	copy(reply[:8], request[:8]) // the id
	binary.NativeEndian.PutUint64(reply[8:], 4711)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fds[0]), send, uintptr(unsafe.Pointer(&reply))); errno != 0 {
		return fmt.Errorf("SECCOMP_IOCTL_NOTIF_SEND: %w", errno)
	}
	return nil
}
