package life

import (
	"fmt"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// writeTimeOffsets sets the offsets of the time namespace that the children of pid will be
// in, which can be done only while nothing is in it.
//
// Source: time_namespaces(7), /proc/PID/timens_offsets.
func writeTimeOffsets(pid int, offsets map[string]specs.LinuxTimeOffset) error {
	var text []byte
	for _, clock := range [...]string{"monotonic", "boottime"} {
		if o, ok := offsets[clock]; ok {
			text = append(text, clock...)
			text = append(text, ' ')
			text = strconv.AppendInt(text, o.Secs, 10)
			text = append(text, ' ')
			text = strconv.AppendUint(text, uint64(o.Nanosecs), 10)
			text = append(text, '\n')
		}
	}
	return writeFile("/proc/"+strconv.Itoa(pid)+"/timens_offsets", text)
}

// writeFile writes text to an existing file of the kernel's in one call.
func writeFile(path string, text []byte) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, text); err != nil {
		return fmt.Errorf("write %q to %s: %w", text, path, err)
	}
	return nil
}
