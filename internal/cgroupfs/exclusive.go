package cgroupfs

import (
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
)

// Exclusive returns the paths of the cgroups beside d that have processors, or with the set
// "mems" memory nodes, for themselves, in the order of their names: no other one may have
// these too.
//
// Source: kernel cgroup-v1/cpusets.rst, "What are exclusive cpusets?"; cgroup-v2.rst,
// "cpuset.cpus.partition".
func (d Dir) Exclusive(set string) (list []string) {
	above, err := sys.Open(d.FD, d.Path+"/..", directory, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(above)
	names, _ := Subdirs(above) // the hint is left out
	slices.Sort(names)
	for _, name := range names {
		if name != path.Base(d.Abs) && exclusive(above, name, set) {
			list = append(list, path.Join(path.Dir(d.Abs), name))
		}
	}
	return list
}

// exclusive reports whether the cgroup name of the directory above has the set for itself.
func exclusive(above int, name, set string) bool {
	file := strings.TrimSuffix(set, "s") + "_exclusive"
	for _, file := range [...]string{"cpuset." + file, file} { // without a prefix as Android mounts it
		if text, err := ReadLine(above, name+"/"+file); err == nil {
			return strings.TrimSpace(text) == "1"
		}
	}
	text, err := ReadLine(above, name+"/cpuset.cpus.partition")
	return err == nil && set == "cpus" && (strings.HasPrefix(text, "root") || strings.HasPrefix(text, "isolated"))
}
