package cgroup

import (
	"fmt"
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
func (p *Plan) Adopt(pid int) error {
	p.created = true
	for i := range p.dirs {
		d := &p.dirs[i]
		if d.name == "" || strings.HasPrefix(d.name, "name=") {
			if !cgroupfs.Exists(d.Abs) {
				return fmt.Errorf("cgroup %s: is missing, where systemd should have made it; "+
					"is %s mounted as systemd has it?", d.Abs, p.root)
			}
		} else if err := d.adopt(pid); err != nil {
			return fmt.Errorf("cgroup %s: %w", d.Abs, err)
		}
		if err := d.identify(); err != nil {
			return fmt.Errorf("cgroup %s: %w", d.Abs, err)
		}
	}
	return nil
}

func (d *directory) adopt(pid int) error {
	if err := d.mkdir(); err != nil {
		return err
	}
	if hasController(d.name, "cpuset") { // before the process, which an empty cpuset refuses
		if err := inheritCpuset(d.Dir); err != nil {
			return err
		}
	}
	return d.Write("cgroup.procs", strconv.Itoa(pid))
}
