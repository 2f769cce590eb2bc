package criu

import (
	"fmt"
	"strconv"
)

// Version is that of a CRIU, as 31700 for 3.17.
type Version int

// Floor is the oldest version that the runtime drives: it has external pid namespaces, the
// freezer of cgroup v2, and says when its server of pages is ready.
const Floor Version = 31500

// String returns the version as CRIU prints it.
func (v Version) String() string {
	s := strconv.Itoa(int(v)/10000) + "." + strconv.Itoa(int(v)/100%100)
	if v%100 != 0 {
		s += "." + strconv.Itoa(int(v)%100)
	}
	return s
}

// field takes one field of CRIU's answer.
func (v *Version) field(n int, value uint64, _ []byte) {
	value = min(value, 99)
	switch n {
	case 1:
		*v += Version(value) * 10000
	case 2:
		*v += Version(value) * 100
	case 4:
		*v += Version(value)
	}
}

// Need returns an error when CRIU is older than the version that brings what.
func (p *Program) Need(what string, since Version) error {
	if p.Version >= since {
		return nil
	}
	return fmt.Errorf("%s needs CRIU %s or newer, and %s is %s; install a newer criu", what, since, p.Path, p.Version)
}
