package cgroup

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
)

// Uncounted returns the hierarchies in which no limit of tasks stands in the way of a new
// process, and no freezer, and the files by which one that is there is moved into the
// others, the freezer's last: who is moved is not held up by a limit.
//
// Source: cgroup-v2.rst, "PID": "Organisational operations are not blocked by cgroup
// policies".
func (p Paths) Uncounted() (free Paths, procs []string) {
	free = Paths{}
	freezer := ""
	for name, dir := range p {
		if hasController(name, "freezer") && !hasController(name, "pids") {
			freezer = dir + "/cgroup.procs"
		} else if hasController(name, "pids") || name == "" && unix.Access(dir+"/pids.max", unix.F_OK) == nil {
			procs = append(procs, dir+"/cgroup.procs")
		} else {
			free[name] = dir
		}
	}
	if freezer != "" {
		procs = append(procs, freezer)
	}
	return free, procs
}

// Room reports whether the container's own limit of tasks leaves room for n more; true
// where there is none, or it cannot be read.
func (p Paths) Room(n uint64) bool {
	for name, dir := range p {
		if name != "" && !hasController(name, "pids") {
			continue
		}
		limit, err := cgroupfs.ReadFile(unix.AT_FDCWD, dir+"/pids.max")
		if err != nil {
			continue
		}
		now, err := cgroupfs.ReadFile(unix.AT_FDCWD, dir+"/pids.current")
		if err != nil {
			continue
		}
		most, err := strconv.ParseUint(strings.TrimSpace(limit), 10, 64)
		if have, nowErr := strconv.ParseUint(strings.TrimSpace(now), 10, 64); err == nil && nowErr == nil && have+n > most {
			return false
		}
	}
	return true
}

// Move moves the process into the cgroup of the file, one of Uncounted's.
func Move(file string, pid int) error {
	return cgroupfs.WriteFile(unix.AT_FDCWD, file, strconv.Itoa(pid))
}
