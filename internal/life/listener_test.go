package life

import (
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
)

// TestIsListener: no descriptor but a seccomp listener is handed to an agent,
// whatever the process says that it has there.
func TestIsListener(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "anon_inode:seccomp notify"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(event)
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(epoll)
	memfd, err := unix.MemfdCreate("anon_inode:seccomp notify", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(memfd)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	for name, fd := range map[string]int{"a file of that name": int(file.Fd()), "eventfd": event, "epoll": epoll, "memfd": memfd, "socket": pair[0], "none": 1 << 30} {
		if isListener(fd) {
			t.Errorf("%s is taken for a listener", name)
		}
	}
	if fd := realListener(t); !isListener(fd) {
		t.Error("a listener is not taken for one")
	} else {
		unix.Close(fd)
	}
}

// realListener loads a filter that allows everything on a thread that then ends.
func realListener(t *testing.T) int {
	t.Helper()
	fd := -1
	err := sys.Apart(func() error {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return err
		}
		allow := [1]unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}}
		f := unix.SockFprog{Len: 1, Filter: &allow[0]}
		n, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&f)))
		if errno != 0 {
			return errno
		}
		fd = int(n)
		return nil
	})
	if err == unix.EBUSY || err == unix.EINVAL {
		t.Skipf("needs a process without a listener above it: %v", err)
	}
	must(t, err)
	return fd
}
