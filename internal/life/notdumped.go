package life

import (
	"fmt"
	"os"
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
	parents := map[int]int{}
	for _, pid := range pids {
		if parent := statusOf(pid, "PPid"); parent != "" {
			parents[pid], _ = strconv.Atoi(parent)
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
			left = append(left, fmt.Sprintf("%d (%s)", pid, fault.Name(statusOf(pid, "Name"))))
		}
	}
	if len(left) > 0 {
		d.c.r.warn("processes that are not init's descendants, as those of exec, are not in the checkpoint: " + strings.Join(left, ", "))
	}
}

// statusOf returns a field of a process's status, empty when it has ended.
//
// Source: proc_pid_status(5).
func statusOf(pid int, field string) string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, field+":\t"); ok {
			return strings.TrimSuffix(value, "\n")
		}
	}
	return ""
}
