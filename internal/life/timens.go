package life

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
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
	path := "/proc/" + strconv.Itoa(pid) + "/timens_offsets"
	err := sys.WriteFile(unix.AT_FDCWD, path, string(text))
	var failed *fs.PathError
	if errors.As(err, &failed) && failed.Op == "write" {
		return fmt.Errorf("write %q to %s: %w", text, path, failed.Err)
	}
	return err
}
