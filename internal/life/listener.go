package life

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/state"
	"github.com/hutch-project/hutch/internal/jsontext"
	"github.com/hutch-project/hutch/internal/part/terminal"
	"github.com/hutch-project/hutch/internal/program/spawn"
)

// listenerWait bounds the wait for the child's one call that loads its filter.
const listenerWait = 10 * time.Second

// sendListener hands the seccomp listener, which the message e carries or announces, to
// the agent at listenerPath, for whose attention it waits as long as the processes of the
// pidfds in while live. The child makes no call that could wait for the agent before that.
// That the listener is there means that the filter is loaded.
//
// Source: seccomp_unotify(2); runtime-spec config-linux.md "The Container Process
// State".
func sendListener(child *spawn.Child, e spawn.Event, s *specs.LinuxSeccomp, r *state.Record, status Status, while ...int) error {
	listener, err := listenerOf(child, e)
	if err != nil {
		return fmt.Errorf("linux.seccomp: %w", err)
	}
	defer unix.Close(listener)
	if err := terminal.SendFd(s.ListenerPath, listener, string(processState(child.Pid, s.ListenerMetadata, r, status)), while...); err != nil {
		return fmt.Errorf("linux.seccomp.listenerPath: %w; is the agent running?", err)
	}
	return nil
}

// listenerOf returns the descriptor that came with the message e, or that the child has by
// the number that it has sent.
func listenerOf(child *spawn.Child, e spawn.Event) (int, error) {
	if e.Fd < 0 {
		return takeListener(child, int(e.Value))
	}
	if !isListener(e.Fd) {
		unix.Close(e.Fd)
		return -1, errors.New("what the process hands over is no seccomp listener")
	}
	return e.Fd, nil
}

// takeListener takes descriptor fd of the child when it is there.
//
// Source: pidfd_getfd(2).
func takeListener(child *spawn.Child, fd int) (int, error) {
	for end := time.Now().Add(listenerWait); ; {
		listener, err := unix.PidfdGetfd(child.Pidfd, fd, 0)
		if err == nil {
			if isListener(listener) {
				return listener, nil
			}
			unix.Close(listener)
			return -1, fmt.Errorf("descriptor %d of the process is no seccomp listener", fd)
		}
		if cause := child.Reported(); cause != nil {
			return -1, cause
		}
		if !errors.Is(err, unix.EBADF) || time.Now().After(end) {
			return -1, fmt.Errorf("take descriptor %d of the process: pidfd_getfd: %w; let the profile allow sendmsg, by which the process hands it over", fd, err)
		}
		time.Sleep(20 * time.Microsecond)
	}
}

// isListener looks at what the kernel calls the file.
func isListener(fd int) bool {
	var buf [64]byte
	n, err := unix.Readlink("/proc/self/fd/"+strconv.Itoa(fd), buf[:])
	return err == nil && string(buf[:n]) == "anon_inode:seccomp notify"
}

// processState returns the message for the agent.
func processState(pid int, metadata string, r *state.Record, status Status) []byte {
	b := append([]byte(nil), `{"ociVersion":"`+specs.Version+`","fds":["`+specs.SeccompFdName+`"],"pid":`...)
	b = strconv.AppendInt(b, int64(pid), 10)
	if metadata != "" {
		b = append(b, `,"metadata":`...)
		b = jsontext.AppendString(b, metadata)
	}
	b = append(b, `,"state":`...)
	b = append(b, hookState(r, status)...)
	return append(b, '}')
}
