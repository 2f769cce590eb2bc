package systemd

import (
	"errors"
	"fmt"
	"strings"
)

// Unit is where a container is placed under systemd.
type Unit struct {
	Slice string // "system.slice"; of a slice the parent
	Name  string // "docker-ID.scope", or "NAME.slice"
}

// longest is the length of the longest unit name in bytes; it is a directory's
// name too. systemd's own limit, UNIT_NAME_MAX, is no lower.
const longest = 255

// ParsePath returns the unit that linux.cgroupsPath names, which under systemd has the form
// "slice:prefix:name": the unit is prefix-name.scope in the slice. An empty slice
// is system.slice, or user.slice under the user's manager, "-" is the root slice,
// and a name that ends with ".slice" is the unit's name as it is. An empty
// cgroupsPath stands for ":hutch:ID".
//
// Names that systemd would refuse, or that would leave their place, are errors.
//
// Source: the form is runc's (docs/systemd.md); systemd.unit(5), systemd.slice(5).
func ParsePath(cgroupsPath, id string, user bool) (Unit, error) {
	if cgroupsPath == "" {
		cgroupsPath = ":hutch:" + escapeID(id)
	}
	u, err := parsePath(cgroupsPath, user)
	if err != nil {
		return Unit{}, fmt.Errorf("linux.cgroupsPath: %q: %w", cgroupsPath, err)
	}
	return u, nil
}

func parsePath(path string, user bool) (Unit, error) {
	part := strings.Split(path, ":")
	if len(part) != 3 {
		return Unit{}, errors.New("the systemd cgroup driver needs the form slice:prefix:name, " +
			"as in system.slice:docker:ID; or use --cgroup-manager cgroupfs")
	}
	unit := Unit{Slice: part[0], Name: part[2]}
	switch {
	case unit.Slice == "":
		unit.Slice = pick(user, "user.slice", "system.slice")
	case unit.Slice == "-":
		unit.Slice = "-.slice"
	}
	if unit.Name == "" {
		return Unit{}, errors.New("the name, its third part, is empty")
	}
	if !unit.isSlice() {
		unit.Name = part[1] + "-" + unit.Name + ".scope"
	}
	for _, name := range [...]string{unit.Slice, unit.Name} {
		if err := checkName(name); err != nil {
			return Unit{}, fmt.Errorf("unit %q: %w", name, err)
		}
	}
	if err := checkSlice(unit.Slice); err != nil {
		return Unit{}, fmt.Errorf("slice %q: %w", unit.Slice, err)
	}
	if unit.isSlice() {
		if err := checkSlice(unit.Name); err != nil {
			return Unit{}, fmt.Errorf("slice %q: %w", unit.Name, err)
		}
		if unit.Name == "-.slice" {
			return Unit{}, errors.New("the unit is the root slice, which has all processes of the host; give the container one of its own")
		}
	}
	return unit, nil
}

func (u Unit) isSlice() bool { return strings.HasSuffix(u.Name, ".slice") }

// checkName checks what is common to all unit names.
//
// Source: systemd.unit(5), "String Escaping": "The unit name prefix must consist
// of one or more valid characters (ASCII letters, digits, ":", "-", "_", ".", and
// "\")"; "@" is for instances.
func checkName(name string) error {
	if len(name) > longest {
		return fmt.Errorf("is longer than %d bytes", longest)
	}
	for _, c := range name {
		if c > 127 || !validByte(byte(c)) {
			return fmt.Errorf("%q cannot be in a unit's name, see systemd-escape(1)", c)
		}
	}
	return nil
}

func validByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.IndexByte("-_.\\@", c) >= 0
}

// checkSlice checks a slice's name, whose dashes say where it is.
func checkSlice(name string) error {
	base, ok := strings.CutSuffix(name, ".slice")
	if !ok {
		return errors.New(`does not end with ".slice"`)
	}
	if name == "-.slice" {
		return nil
	}
	for c := range strings.SplitSeq(base, "-") {
		if c == "" {
			return errors.New("a part between dashes is empty")
		}
	}
	return nil
}

// escapeID makes a container id fit for a unit's name: it may have "+".
//
// Source: systemd.unit(5), "String Escaping".
func escapeID(id string) string { return strings.ReplaceAll(id, "+", `\x2b`) }

// Path returns the unit's cgroup, from the root of the hierarchy under the system's
// manager and from Conn.Root under a user's: "/system.slice/docker-ID.scope". The
// slice a-b.slice is inside of a.slice.
//
// Source: systemd.slice(5).
func (u Unit) Path() string {
	if u.isSlice() {
		return slicePath(u.Name)
	}
	return slicePath(u.Slice) + "/" + escapeCgroup(u.Name)
}

func slicePath(name string) string {
	base := strings.TrimSuffix(name, ".slice")
	path := ""
	if base == "-" {
		return path
	}
	for i := range len(base) + 1 {
		if i == len(base) || base[i] == '-' {
			path += "/" + escapeCgroup(base[:i]+".slice")
		}
	}
	return path
}

// escapeCgroup returns the name of the directory for a unit's name: systemd puts
// "_" before what could be taken for a file of the kernel.
//
// Source: systemd's CGROUP_DELEGATION document, "cgroup escaping".
func escapeCgroup(name string) string {
	first, _, _ := strings.Cut(name, ".")
	switch first {
	case "", "cgroup", "cpu", "cpuacct", "cpuset", "io", "blkio", "memory", "devices", "pids",
		"bpf-firewall", "bpf-devices", "bpf-foreign", "bpf-socket-bind", "bpf-restrict-network-interfaces":
		return "_" + name
	}
	if name[0] == '_' {
		return "_" + name
	}
	return name
}
