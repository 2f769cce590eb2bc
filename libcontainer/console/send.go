// Package console is the runtime's side of terminals: it hands a terminal's
// master to the engine that asked for it, or serves it from the runtime's own
// terminal while a container runs in the foreground, and passes signals on to
// the container. The terminal itself is opened inside the container.
//
// Source: tty_ioctl(4), pty(7), unix(7).
package console

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxPayload bounds a message; names of terminals are short, the state for a
// seccomp agent has the container's annotations.
const maxPayload = 1<<16 - 1

// SendFd connects to the stream socket path, sends the descriptor fd with
// payload, which has 1 to 65535 bytes, in one message, and closes the connection.
// It does not wait for the receiver, which may accept only after the runtime has
// ended. fd stays open and the caller's. A path may be longer than a socket's
// address takes; one that begins with "@" is an abstract name.
//
// Source: unix(7), SCM_RIGHTS.
func SendFd(path string, fd int, payload string) error {
	if len(payload) == 0 || len(payload) > maxPayload {
		return fmt.Errorf("send a descriptor to %s: a payload of %d bytes is not of 1 to %d", path, len(payload), maxPayload)
	}
	s, err := connect(path)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	for {
		n, err := unix.SendmsgN(s, []byte(payload), unix.UnixRights(fd), nil, unix.MSG_NOSIGNAL)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return fmt.Errorf("send a descriptor to %s: sendmsg: %w", path, err)
		case n != len(payload):
			// The descriptor went with the first bytes; the rest means nothing.
			return nil
		}
		return nil
	}
}

// ReceiveFd takes what SendFd sends from the accepted connection s. The caller
// owns the descriptor, which is close-on-exec.
func ReceiveFd(s int) (fd int, payload string, err error) {
	buf, oob := make([]byte, maxPayload+1), make([]byte, unix.CmsgSpace(4*8))
	n, oobn, flags, _, err := unix.Recvmsg(s, buf, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, "", fmt.Errorf("recvmsg: %w", err)
	}
	cmsgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return -1, "", fmt.Errorf("control message: %w", err)
	}
	var fds []int
	for i := range cmsgs {
		if got, err := unix.ParseUnixRights(&cmsgs[i]); err == nil {
			fds = append(fds, got...)
		}
	}
	if len(fds) != 1 || len(cmsgs) != 1 || flags&unix.MSG_CTRUNC != 0 {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return -1, "", fmt.Errorf("%d control messages with %d descriptors, want one of each", len(cmsgs), len(fds))
	}
	return fds[0], string(buf[:n]), nil
}

// connect opens a stream to the socket path.
func connect(path string) (int, error) {
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	err = connectTo(s, path)
	if err != nil {
		unix.Close(s)
		return -1, fmt.Errorf("connect to %s: %w", path, err)
	}
	return s, nil
}

func connectTo(s int, path string) error {
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
		if err := unix.Connect(s, &unix.SockaddrUnix{Name: path}); err != unix.EINTR {
			return err
		}
	}
}
