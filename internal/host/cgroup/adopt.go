package cgroup

import (
	"fmt"
	"strconv"
	"strings"
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
	for i := range p.places {
		c := &p.places[i]
		if c.name == "" || strings.HasPrefix(c.name, "name=") {
			if !exists(c.abs) {
				return fmt.Errorf("cgroup %s: is missing, where systemd should have made it; "+
					"is %s mounted as systemd has it?", c.abs, p.root)
			}
			continue
		}
		if err := c.adopt(pid); err != nil {
			return fmt.Errorf("cgroup %s: %w", c.abs, err)
		}
	}
	return nil
}

func (c *place) adopt(pid int) error {
	if err := c.mkdir(); err != nil {
		return err
	}
	if hasController(c.name, "cpuset") {
		if err := inheritCpuset(c.fd, c.rel); err != nil {
			return err
		}
	}
	return writeFile(c.fd, c.rel+"/cgroup.procs", strconv.Itoa(pid))
}
