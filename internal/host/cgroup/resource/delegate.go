package resource

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hutch-project/hutch/internal/host/cgroup"
)

// Delegate makes the cgroup below in that of p, on v2, moves the process pid there, and hands it
// to uid and gid: its own limits stay the caller's, those of p hold above it, and it has all
// controllers that p has. Without a pid, 0, nobody is moved, as where CRIU has restored who is
// there.
//
// Source: cgroup-v2.rst, "Delegation"; crun(1), "run.oci.delegate-cgroup".
func Delegate(p *cgroup.Plan, below string, pid, uid, gid int) error {
	dir, above, err := p.MakeBelow(below)
	if err != nil {
		return err
	}
	// Before the controllers, which a cgroup with processes of its own does not hand on.
	if pid > 0 {
		if err := dir.Write("cgroup.procs", strconv.Itoa(pid)); err != nil {
			return fmt.Errorf("cgroup %s: %w", dir.Abs, err)
		}
	}
	for _, a := range above {
		text, err := a.ReadLine("cgroup.controllers")
		if err != nil {
			return fmt.Errorf("cgroup %s: %w", a.Abs, err)
		}
		names := strings.Fields(text)
		if len(names) == 0 {
			break
		}
		if err := handOn(a.FD, a.Path+"/", names); err != nil {
			return fmt.Errorf("cgroup %s: %w", a.Abs, err)
		}
	}
	if uid == 0 && gid == 0 {
		return nil // as it is made
	}
	return cgroup.ChownDelegated(dir, uid, gid)
}
