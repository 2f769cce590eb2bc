package main

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// fillFlight becomes a user and sends itself as many descriptors as the limit of open
// files, its second argument, lets a process have on their way; until the end of its input.
func fillFlight(args []string) (string, error) {
	limit, err := strconv.Atoi(args[1])
	if err != nil {
		return "", err
	}
	if err := become(args[0]); err != nil {
		return "", err
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(limit), Max: uint64(limit)}); err != nil {
		return "", fmt.Errorf("setrlimit: %w", err)
	}
	for {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return "", fmt.Errorf("socketpair: %w", err)
		}
		// Many a message, since the room of a socket is for messages; what is on its way
		// stays there.
		err = unix.Sendmsg(pair[0], []byte{0}, unix.UnixRights(make([]int, 100)...), nil, 0)
		if errors.Is(err, unix.ETOOMANYREFS) {
			break
		}
		if err != nil {
			return "", fmt.Errorf("sendmsg: %w", err)
		}
	}
	return "", hold()
}
