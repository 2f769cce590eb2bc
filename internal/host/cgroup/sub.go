package cgroup

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
)

// Sub names sub-cgroups of a container: a controller, or "" for cgroup v2, and
// the path from the container's cgroup.
type Sub map[string]string

// ParseSub parses the values of exec's --cgroup, each PATH on cgroup v2 or
// CONTROLLER[,CONTROLLER...]:PATH on v1. A path that is the container's own
// cgroup is left out.
func ParseSub(values []string) (Sub, error) {
	s := Sub{}
	for _, v := range values {
		list, path, named := strings.Cut(v, ":")
		if !named {
			list, path = "", v
			if len(values) > 1 {
				return nil, fmt.Errorf("invalid --cgroup argument: %s: missing CONTROLLER: before the path", v)
			}
		} else if list == "" || strings.Contains(path, ":") {
			return nil, fmt.Errorf("invalid --cgroup argument: %s: want [CONTROLLER,...:]PATH", v)
		}
		if strings.Trim(path, "/.") != "" || strings.Contains(path, "..") {
			var err error
			if path, err = components(path); err != nil {
				return nil, fmt.Errorf("invalid --cgroup argument: %s: %w", v, err)
			}
		} else {
			path = ""
		}
		for c := range strings.SplitSeq(list, ",") {
			if _, twice := s[c]; twice || named && c == "" {
				return nil, fmt.Errorf("invalid --cgroup argument: %s: a controller is empty or stands twice", v)
			}
			s[c] = path
		}
	}
	return s, nil
}

// hierarchies lists which controllers can be named.
func (p Paths) hierarchies() string {
	if _, unified := p[""]; unified && len(p) == 1 {
		return "on cgroup v2 give the path alone"
	}
	return "there are " + strings.Join(p.names(), " ")
}

// cgroupsOf returns the text of a process's file of cgroups. The error is unix.ENOENT for one that
// has been reaped before it is opened, and unix.ESRCH for one that was before it is read, wrapped.
// It is a variable for tests.
var cgroupsOf = func(pid int) (string, error) {
	return cgroupfs.ReadFile(unix.AT_FDCWD, "/proc/"+strconv.Itoa(pid)+"/cgroup")
}

// Now returns where process pid is at present, in the hierarchies of p: a manager above may
// have moved it and removed what was recorded.
//
// Source: cgroups(7), "/proc/[pid]/cgroup".
func (p Paths) Now(pid int) (Paths, error) {
	text, err := cgroupsOf(pid)
	if err != nil {
		return nil, err
	}
	layout, err := detect(Root, func() (string, error) { return text, nil })
	if err != nil {
		return nil, err
	}
	defer layout.Close()
	now := Paths{}
	for i := range layout.hierarchies {
		h := &layout.hierarchies[i]
		if _, ours := p[h.name]; !ours {
			continue
		}
		own := h.own
		if layout.Mode == V2 {
			var ok bool
			if own, ok = unifiedOf(text); !ok {
				return nil, fmt.Errorf("/proc/%d/cgroup has no line for cgroup v2", pid)
			}
		}
		if strings.Contains(own+"/", "/../") {
			return nil, fmt.Errorf("init is in the cgroup %s, which is outside of the runtime's cgroup namespace", own)
		}
		now[h.name] = layout.mountpoint(h) + strings.TrimSuffix(own, "/")
	}
	return now, nil
}

// OfInit returns where init, process pid, has gone below the container's cgroup v2, for
// processes that may not be born in that itself: one that hands controllers on
// to its sub-cgroups has no processes of its own.
//
// Source: cgroup-v2.rst, "No Internal Process Constraint".
func (p Paths) OfInit(pid int) (Sub, error) {
	dir, ok := p[""]
	if !ok {
		return nil, errors.New("the container has no cgroup v2")
	}
	text, err := cgroupsOf(pid)
	if err != nil {
		return nil, err
	}
	recorded := strings.TrimPrefix(strings.TrimPrefix(dir, Root), "/unified")
	own, ok := unifiedOf(text)
	if !ok {
		return nil, fmt.Errorf("/proc/%d/cgroup has no line for cgroup v2", pid)
	}
	rest, below := strings.CutPrefix(own, recorded+"/")
	if !below {
		return nil, fmt.Errorf("init is in the cgroup %s, which is not below the container's, %s", own, recorded)
	}
	// Not by ParseSub: the name is the image's choice, and a colon in it names no controller.
	sub, err := components(rest)
	if err != nil {
		return nil, fmt.Errorf("init is in the cgroup %q: %w", own, err)
	}
	return Sub{"": sub}, nil
}

// Within returns where the recorded cgroup v2 is below that of systemd's unit: empty where they
// are one.
func (p Paths) Within(unit string) string {
	_, below, _ := strings.Cut(p[""], "/"+unit+"/")
	return below
}

// RemoveUnit removes the directories named unit in which the recorded cgroups were, which are
// gone: systemd removes those of the hierarchies that it uses, and has not made the others. What
// is not empty stays.
func (p Paths) RemoveUnit(unit string) {
	for _, dir := range p {
		if above := path.Dir(dir); path.Base(above) == unit {
			_ = unix.Rmdir(above)
		}
	}
}
