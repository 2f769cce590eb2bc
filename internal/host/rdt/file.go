package rdt

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/mountinfo"
)

// Root returns the directory where resctrl is mounted. The error is ErrNoResctrl,
// wrapped, where it is not.
func Root() (string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	if dir, ok := find(string(text)); ok {
		return dir, nil
	}
	return "", fmt.Errorf("linux.intelRdt: %w", ErrNoResctrl)
}

// find returns the mount point of the whole resctrl file system.
func find(text string) (string, bool) {
	for _, m := range mountinfo.Parse(text) {
		if m.Root == "/" && m.Type == "resctrl" {
			return m.Point, true
		}
	}
	return "", false
}

// write writes text to a file that exists, in one call.
func write(path, text string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	for {
		if _, err = unix.Write(fd, []byte(text)); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("write %q to %s: %w", text, path, err)
	}
	return nil
}
