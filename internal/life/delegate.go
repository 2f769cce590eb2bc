package life

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/internal/host/systemd"
	"github.com/hutch-project/hutch/internal/seat"
)

// ownCgroup is how a caller without the host's root has a cgroup for a container.
const ownCgroup = "--cgroup-manager systemd in a login session, or systemd-run --user --scope --property Delegate=yes (on cgroup v2)"

// withoutCgroup explains err of a container without cgroups: what it cannot have, and how to
// create it with one.
func withoutCgroup(err error) error {
	if seat.HostRoot() {
		return fmt.Errorf("%w: the container has no cgroup of its own; create it with --cgroup-manager cgroupfs or systemd", err)
	}
	return fmt.Errorf("%w: the container has no cgroup of its own, but its caller's; create it with %s", err, ownCgroup)
}

// hasCgroup reports whether the container has a cgroup, its own or the one that it was told.
func (c *container) hasCgroup() bool { return len(c.rec.Cgroup.Paths) > 0 }

// explainController adds to err, when it is that a user's service manager has not been
// handed a controller, what hands it on.
func explainController(err error) error {
	if seat.HostRoot() || !errors.Is(err, cgroupfs.ErrNoController) || !(denied(err) || errors.Is(err, unix.ENOENT)) {
		return err
	}
	if _, none := os.Stat("/run/systemd/system"); none != nil {
		return err
	}
	return fmt.Errorf("%w; %s", err, systemd.DelegateRemedy)
}
