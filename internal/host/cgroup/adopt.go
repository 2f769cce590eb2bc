package cgroup

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/hutch-project/hutch/internal/cgroupfs"
)

// Adopt takes the place of Create for a container whose process pid another
// manager of cgroups, systemd, has put into the planned directories of the
// hierarchies that it knows. Those of the others are made, and the process is
// moved into each. After an error Undo takes back what was made.
//
// Source: systemd's CGROUP_DELEGATION document, "Controller Support": it uses
// cpu, cpuacct, io, blkio, memory, devices, pids on v1, and cpuset on v2.
//
// Where the plan is for a group below that of systemd, the process is moved on to it in every
// hierarchy. That leaves systemd's group without processes of its own, so that it can hand
// controllers on v2 on.
func (p *Plan) Adopt(pid int, below bool) error {
	p.created = true
	for i := range p.dirs {
		dir := &p.dirs[i]
		known := dir.name == "" || strings.HasPrefix(dir.name, "name=")
		made := dir.Abs
		if below {
			made = path.Dir(made)
		}
		if known && !cgroupfs.Exists(made) {
			return fmt.Errorf("cgroup %s: is missing, where systemd should have made it; "+
				"is %s mounted as systemd has it?", made, p.root)
		}
		if !known || below {
			if err := dir.adopt(pid); err != nil {
				return fmt.Errorf("cgroup %s: %w", dir.Abs, err)
			}
		}
		if err := dir.identify(); err != nil {
			return fmt.Errorf("cgroup %s: %w", dir.Abs, err)
		}
	}
	return nil
}

func (d *directory) adopt(pid int) error {
	if err := d.mkdir(); err != nil {
		return err
	}
	if hasController(d.name, "cpuset") { // before the process, which an empty cpuset refuses
		if err := inheritCpuset(d.Dir, nil); err != nil {
			return err
		}
	}
	return d.Write("cgroup.procs", strconv.Itoa(pid))
}
