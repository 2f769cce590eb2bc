// Package uidmap reads the maps of user namespaces, and looks ids up in them.
//
// What a configuration may ask for is checked in package check; the maps are written by
// host/idmap.
//
// Source: user_namespaces(7), "User and group ID mappings".
package uidmap

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Read returns the mappings of a file such as /proc/PID/uid_map. The ids outside are those
// of the user namespace of this process, or, of its own map, of the one above.
func Read(path string) ([]specs.LinuxIDMapping, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	list, err := Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

// Of returns the mappings of the process pid, by one of its files: uid_map or gid_map.
func Of(pid int, file string) ([]specs.LinuxIDMapping, error) {
	return Read("/proc/" + strconv.Itoa(pid) + "/" + file)
}

// Parse returns the mappings of a text: lines of an id inside, an id outside, and their number.
func Parse(text string) (list []specs.LinuxIDMapping, err error) {
	for line := range strings.Lines(text) {
		var n [3]uint32
		f := strings.Fields(line)
		if len(f) != len(n) {
			return nil, fmt.Errorf("%q is no mapping", line)
		}
		for i := range n {
			v, err := strconv.ParseUint(f[i], 10, 32)
			if err != nil {
				return nil, fmt.Errorf("%q is no mapping: %w", line, err)
			}
			n[i] = uint32(v)
		}
		list = append(list, specs.LinuxIDMapping{ContainerID: n[0], HostID: n[1], Size: n[2]})
	}
	return list, nil
}

// Initial reports whether a map is that of the initial user namespace, which maps all ids
// to themselves.
func Initial(list []specs.LinuxIDMapping) bool {
	return len(list) == 1 && list[0] == specs.LinuxIDMapping{Size: math.MaxUint32}
}

// Outside returns the id outside of the user namespace that is id inside; ok is false where
// it has none.
func Outside(list []specs.LinuxIDMapping, id uint32) (outside uint32, ok bool) {
	for _, m := range list {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return m.HostID + (id - m.ContainerID), true
		}
	}
	return 0, false
}

// OutsideOr is Outside for a caller that takes another id where it has none.
func OutsideOr(list []specs.LinuxIDMapping, id, other uint32) uint32 {
	if outside, ok := Outside(list, id); ok {
		return outside
	}
	return other
}
