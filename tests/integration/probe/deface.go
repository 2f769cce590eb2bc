package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// deface tries to change mode, owner, times and attributes of files, and says
// what it could.
//
//	probe deface PATH...
func deface(paths []string) (string, error) {
	old := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	var done []string
	for _, path := range paths {
		for name, f := range map[string]func() error{
			"chmod":  func() error { return os.Chmod(path, 0o600) },
			"chmod0": func() error { return os.Chmod(path, 0) },
			"chown":  func() error { return os.Chown(path, os.Getuid(), 5) },
			"utimes": func() error { return os.Chtimes(path, old, old) },
			"touch":  func() error { return unix.UtimesNanoAt(unix.AT_FDCWD, path, nil, 0) },
			"user attribute": func() error {
				return unix.Setxattr(path, "user.defaced", []byte("1"), 0)
			},
			"trusted attribute": func() error {
				return unix.Setxattr(path, "trusted.defaced", []byte("1"), 0)
			},
			"security attribute": func() error {
				return unix.Setxattr(path, "security.defaced", []byte("1"), 0)
			},
			"flags": func() error {
				fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
				if err != nil {
					return err
				}
				defer unix.Close(fd)
				return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, 0x20) // FS_APPEND_FL
			},
		} {
			if f() == nil {
				done = append(done, name+" of "+path)
			}
		}
	}
	return fmt.Sprintf("tried %d: %s", len(paths), strings.Join(done, ", ")), nil
}

// leak tells each descriptor that execve handed on, with what it is.
//
//	probe leak FILE
func leak(args []string) (string, error) {
	if len(args) != 1 {
		return "", fmt.Errorf("usage: probe leak FILE")
	}
	var list []string
	for fd := range 1024 {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC != 0 {
			continue
		}
		target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		if err != nil {
			target = err.Error()
		}
		list = append(list, fmt.Sprintf("%d %s", fd, target))
	}
	text := strings.Join(list, "\n") + "\n"
	return text, os.WriteFile(args[0], []byte(text), 0o644)
}
