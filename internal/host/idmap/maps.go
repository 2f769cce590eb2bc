// Package idmap gives user namespaces their mappings: that of a container, and
// namespaces of no process that idmapped mounts take their mapping from. It is the
// parent's side.
//
// Source: user_namespaces(7), "User and group ID mappings"; mount_setattr(2),
// MOUNT_ATTR_IDMAP.
package idmap

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/sys"
)

// maxLines is the number of lines that the kernel takes.
const maxLines = check.MaxMappings

// WriteMaps writes the mappings of the user namespace that the process pid is
// in: its owner must be in the namespace above. Empty mappings are left alone.
// rootless is true when the caller is not privileged above; then a mapping of its own
// id alone is written directly, for groups after setgroups is denied, which the
// kernel asks for, and others by the host's newuidmap and newgidmap. These are
// used too where a privileged caller is refused. The error names the mapping.
//
// Source: user_namespaces(7); newuidmap(1).
func WriteMaps(pid int, uids, gids []specs.LinuxIDMapping, rootless bool) error {
	dir, err := unix.Open("/proc/"+strconv.Itoa(pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /proc/%d: %w", pid, err)
	}
	defer unix.Close(dir)
	if rootless && own(gids, os.Getegid()) {
		if err := write(dir, "setgroups", []byte("deny")); err != nil {
			return err
		}
	}
	waitUIDs, err := writeMap(dir, pid, "uid_map", "newuidmap", uids)
	if err != nil {
		return err
	}
	// The helpers run side by side: neither asks for what the other writes.
	waitGIDs, err := writeMap(dir, pid, "gid_map", "newgidmap", gids)
	uidErr := waitUIDs()
	if err == nil {
		err = waitGIDs()
	}
	if uidErr != nil {
		return uidErr
	}
	return err
}

// own reports whether ids maps the one id and no other.
func own(ids []specs.LinuxIDMapping, id int) bool {
	return len(ids) == 1 && ids[0].Size == 1 && int(ids[0].HostID) == id
}

// written is the end of a map that no helper writes.
func written() error { return nil }

// writeMap writes a map, or has a helper begin it: wait waits for its end.
func writeMap(dir, pid int, file, tool string, ids []specs.LinuxIDMapping) (wait func() error, err error) {
	if len(ids) == 0 {
		return written, nil
	}
	if len(ids) > maxLines {
		return nil, fmt.Errorf("%s: %d mappings are more than the kernel's %d", file, len(ids), maxLines)
	}
	refusal := write(dir, file, lines(ids))
	switch {
	case refusal == nil:
		return written, nil
	case errors.Is(refusal, unix.EINVAL):
		return nil, fmt.Errorf("%w: ranges overlap, are empty, or too large", refusal)
	case !errors.Is(refusal, unix.EPERM):
		return nil, refusal
	}
	refused := func(toolErr error) error { return fmt.Errorf("%w (%s); %w", refusal, lacking(ids), toolErr) }
	h, toolErr := startHelper(helperDirs(), tool, pid, ids)
	if toolErr != nil {
		return nil, refused(toolErr)
	}
	return func() error {
		if err := h.wait(); err != nil {
			return refused(err)
		}
		return nil
	}, nil
}

// lacking names the capabilities that a map takes beyond the caller's own id.
//
// Source: user_namespaces(7), "Mapping user 0 of the parent" (Linux 5.12).
func lacking(ids []specs.LinuxIDMapping) string {
	for _, m := range ids {
		if m.HostID == 0 {
			return "it takes CAP_SETUID or CAP_SETGID, and for the id 0 CAP_SETFCAP"
		}
	}
	return "it takes CAP_SETUID or CAP_SETGID"
}

// lines is the text of a map, which the kernel takes in one write.
func lines(ids []specs.LinuxIDMapping) []byte {
	out := make([]byte, 0, 32*len(ids))
	for _, m := range ids {
		out = strconv.AppendUint(out, uint64(m.ContainerID), 10)
		out = append(out, ' ')
		out = strconv.AppendUint(out, uint64(m.HostID), 10)
		out = append(out, ' ')
		out = strconv.AppendUint(out, uint64(m.Size), 10)
		out = append(out, '\n')
	}
	return out
}

// write writes a file of /proc/PID in one call.
func write(dir int, file string, text []byte) error {
	fd, err := unix.Openat(dir, file, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", file, err)
	}
	defer unix.Close(fd)
	if _, err := sys.Write(fd, text); err != nil {
		return fmt.Errorf("write %s to %s: %w", fault.Quote(string(text)), file, err)
	}
	return nil
}
