package systemd

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
)

// delegable are the controllers of cgroup v2 that systemd can hand on to the service manager
// of a user.
//
// Source: systemd.resource-control(5), Delegate.
var delegable = []string{"cpu", "cpuset", "io", "memory", "pids"}

// DelegateRemedy is how root has them all handed on.
const DelegateRemedy = "root delegates controllers to users by `systemctl edit user@.service` with the lines [Service] and " +
	"Delegate=cpu cpuset io memory pids; a user has them when logged in anew"

// Undelegated returns the controllers that the service manager could have been handed and has
// not. It is an error on hosts without cgroup v2.
func (c *Conn) Undelegated() (missing []string, err error) {
	root, err := c.Root()
	if err != nil {
		return nil, err
	}
	text, err := cgroupfs.ReadLine(unix.AT_FDCWD, cgroupfs.Root+root+"/cgroup.controllers")
	if err != nil {
		return nil, err
	}
	for _, name := range delegable {
		if !slices.Contains(strings.Fields(text), name) {
			missing = append(missing, name)
		}
	}
	return missing, nil
}
