package life

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hutch-project/hutch/internal/fault"
)

// warnOfNotDumped warns of the container's processes that are no descendants of init, as what
// exec has started is not: CRIU writes down init and what descends from it.
func (d *dump) warnOfNotDumped() {
	if !d.c.rec.Cgroup.Own {
		return // others' processes are there, too
	}
	pids, err := d.c.cg.Pids()
	if err != nil {
		d.c.r.warnIf(err)
		return
	}
	parents, names := map[int]int{}, map[int]string{}
	for _, pid := range pids {
		if status, err := statusIn("/proc/" + strconv.Itoa(pid)); err == nil { // else it has ended
			parents[pid], _ = strconv.Atoi(status["PPid"])
			names[pid] = status["Name"]
		}
	}
	var left []string
	for pid := range parents {
		p := pid
		for range parents { // a way from a process to init is no longer
			if p == d.c.rec.Pid {
				break
			}
			p = parents[p]
		}
		if p != d.c.rec.Pid {
			left = append(left, fmt.Sprintf("%d (%s)", pid, fault.Name(names[pid])))
		}
	}
	if len(left) > 0 {
		d.c.r.warn("processes that are not init's descendants, as those of exec, are not in the checkpoint: " + strings.Join(left, ", "))
	}
}
