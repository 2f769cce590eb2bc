package sys

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// SendFDs sends data, of at least one byte, and with it the descriptors fds over the
// socket sock in one message, and returns how much of data was taken. The descriptors
// stay the caller's.
//
// Source: unix(7), SCM_RIGHTS.
func SendFDs(sock int, data []byte, fds ...int) (int, error) {
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	return Retry1(func() (int, error) { return unix.SendmsgN(sock, data, rights, nil, unix.MSG_NOSIGNAL) })
}

// ReceiveFDs receives one message from sock into data, and at most limit descriptors with
// it, which are close-on-exec and the caller's. It returns the number of bytes, 0 at the
// end of a stream. Of a message with more descriptors, or with other control data, none is
// kept, and it is an error.
//
// Source: unix(7), SCM_RIGHTS; recv(2), MSG_CTRUNC and MSG_CMSG_CLOEXEC.
func ReceiveFDs(sock int, data []byte, limit int) (n int, fds []int, err error) {
	var room [256]byte
	control := room[:]
	if size := unix.CmsgSpace(4 * max(limit, 1)); size <= len(room) {
		control = control[:size]
	} else {
		control = make([]byte, size)
	}
	var controlLen, flags int
	err = Retry(func() (err error) {
		n, controlLen, flags, _, err = unix.Recvmsg(sock, data, control, unix.MSG_CMSG_CLOEXEC)
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	fds, err = rights(control[:controlLen])
	switch {
	case err != nil:
	case flags&unix.MSG_CTRUNC != 0 || len(fds) > limit:
		err = fmt.Errorf("a message with more than %d descriptors", limit)
	default:
		return n, fds, nil
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
	return 0, nil, err
}

// rights returns the descriptors of control data, also when there is an error.
func rights(control []byte) (fds []int, err error) {
	if len(control) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, fmt.Errorf("control message: %w", err)
	}
	for i := range messages {
		got, e := unix.ParseUnixRights(&messages[i])
		if e != nil {
			err = fmt.Errorf("control message: %w", e)
			continue
		}
		fds = append(fds, got...)
	}
	return fds, err
}
