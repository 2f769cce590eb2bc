// Package terminal has the terminal of a container's process, on both sides: it is opened
// inside of the container, and its master comes to the runtime, which hands it to the
// engine that asked for it, or serves it from its own terminal while a container runs in
// the foreground, and passes signals on to the container.
//
// Source: runtime-spec config.md "Process"; pts(4), ioctl_tty(2), pty(7), unix(7).
package terminal

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxPayload bounds a message; names of terminals are short, the state for a
// seccomp agent has the container's annotations.
const maxPayload = 1<<16 - 1

// ErrUnwanted is returned by SendFd when a process that it is for has ended.
var ErrUnwanted = errors.New("the process has ended meanwhile")

// SendFd connects to the stream socket path, sends the descriptor fd with
// payload, which has 1 to 65535 bytes, in one message, and closes the connection.
// It does not wait for the receiver, which may accept only after the runtime has
// ended; it does wait for room in the receiver's backlog and buffer, as long as the
// processes of the pidfds in while live. fd stays open and the caller's. A path may be
// longer than a socket's address takes; one that begins with "@" is an abstract name.
//
// Source: unix(7), SCM_RIGHTS.
func SendFd(path string, fd int, payload string, while ...int) error {
	if len(payload) == 0 || len(payload) > maxPayload {
		return fmt.Errorf("send a descriptor to %s: a payload of %d bytes is not of 1 to %d", path, len(payload), maxPayload)
	}
	s, err := connect(path, while)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	rights := unix.UnixRights(fd)
	for rest := []byte(payload); len(rest) > 0; {
		n, err := unix.SendmsgN(s, rest, rights, nil, unix.MSG_NOSIGNAL)
		switch err {
		case nil:
			rest, rights = rest[n:], nil // the descriptor went with the first bytes
		case unix.EINTR:
		case unix.EAGAIN:
			if err := await(while, s, -1); err != nil {
				return fmt.Errorf("send a descriptor to %s: %w", path, err)
			}
		default:
			return fmt.Errorf("send a descriptor to %s: sendmsg: %w", path, err)
		}
	}
	return nil
}

// await waits until s takes more, at most for the time limit in milliseconds, -1 for
// none. The error is ErrUnwanted when a process of the pidfds in while has ended.
func await(while []int, s, limit int) error {
	p := []unix.PollFd{{Fd: int32(s), Events: unix.POLLOUT}}
	for _, pidfd := range while {
		p = append(p, unix.PollFd{Fd: int32(pidfd), Events: unix.POLLIN})
	}
	if _, err := unix.Poll(p, limit); err != nil && err != unix.EINTR {
		return fmt.Errorf("poll: %w", err)
	}
	for _, w := range p[1:] {
		if w.Revents != 0 {
			return ErrUnwanted
		}
	}
	return nil
}

// connect opens a stream to the socket path.
func connect(path string, while []int) (int, error) {
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	err = connectTo(s, path, while)
	if err != nil {
		unix.Close(s)
		return -1, fmt.Errorf("connect to %s: %w", path, err)
	}
	return s, nil
}

// backlogPause is the time in milliseconds between two tries to get into a full backlog:
// a socket that is not connected has no event for it.
const backlogPause = 20

func connectTo(s int, path string, while []int) error {
	if path == "" {
		return errors.New("the path is empty")
	}
	var long unix.RawSockaddrUnix
	if len(path) >= len(long.Path) && path[0] != '@' {
		// Too long for an address: go by a descriptor of the socket's inode.
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		path = "/proc/self/fd/" + strconv.Itoa(fd)
	}
	for {
		switch err := unix.Connect(s, &unix.SockaddrUnix{Name: path}); err {
		case unix.EINTR:
		case unix.EAGAIN: // the backlog is full
			if err := await(while, -1, backlogPause); err != nil {
				return err
			}
		default:
			return err
		}
	}
}
