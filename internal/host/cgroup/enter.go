package cgroup

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
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

// Enter opens what the birth in the recorded cgroups, or sub-cgroups of them,
// needs. The caller closes the Entry.
func (p Paths) Enter(sub Sub) (*Entry, error) {
	e := &Entry{Cgroup: -1, freezer: -1}
	used := 0
	for _, name := range p.names() {
		dir := p[name]
		for c, rest := range sub {
			if c == name || c != "" && hasController(name, c) {
				used++
				if rest != "" {
					dir += "/" + rest
				}
				break
			}
		}
		var fd int
		var err error
		if name == "" {
			fd, err = openEntry(dir, unix.O_PATH|unix.O_DIRECTORY)
			e.Cgroup = fd
		} else if fd, err = openEntry(dir+"/tasks", unix.O_WRONLY); err == nil {
			if hasController(name, "freezer") {
				e.freezer = len(e.Tasks)
			}
			e.Tasks = append(e.Tasks, fd)
		}
		if err != nil {
			e.Close()
			return nil, fmt.Errorf("cgroup %s: open: %w", dir, err)
		}
	}
	e.freezerLast()
	if used < len(sub) {
		e.Close()
		return nil, fmt.Errorf("invalid --cgroup argument: the container has no cgroup for one of the controllers; %s", p.hierarchies())
	}
	return e, nil
}

// freezerLast puts the freezer's file behind the others: who enters a frozen cgroup stops
// there.
func (e *Entry) freezerLast() {
	if e.freezer >= 0 {
		last := len(e.Tasks) - 1
		e.Tasks[e.freezer], e.Tasks[last] = e.Tasks[last], e.Tasks[e.freezer]
	}
}

// hierarchies says which controllers can be named.
func (p Paths) hierarchies() string {
	if _, unified := p[""]; unified && len(p) == 1 {
		return "on cgroup v2 give the path alone"
	}
	return "there are " + strings.Join(p.names(), " ")
}

// Now is where process pid is at present, in the hierarchies of p: a manager above may
// have moved it and removed what was recorded.
//
// Source: cgroups(7), "/proc/[pid]/cgroup".
func (p Paths) Now(pid int) (Paths, error) {
	text, err := readFile(unix.AT_FDCWD, fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return nil, err
	}
	l, err := detect(Root, func() (string, error) { return text, nil })
	if err != nil {
		return nil, err
	}
	defer l.Close()
	now := Paths{}
	for i := range l.hierarchies {
		h := &l.hierarchies[i]
		if _, ours := p[h.name]; !ours {
			continue
		}
		own := h.own
		if l.Mode == V2 {
			var ok bool
			if own, ok = unifiedOf(text); !ok {
				return nil, fmt.Errorf("/proc/%d/cgroup has no line for cgroup v2", pid)
			}
		}
		if strings.Contains(own+"/", "/../") {
			return nil, fmt.Errorf("init is in the cgroup %s, which is outside of the runtime's cgroup namespace", own)
		}
		now[h.name] = l.mountpoint(h) + strings.TrimSuffix(own, "/")
	}
	return now, nil
}

// Uncounted are the hierarchies in which no limit of tasks stands in the way of a new
// process, and the files by which one that is there is moved into the others: who is moved
// is not held up by a limit.
//
// Source: cgroup-v2.rst, "PID": "Organisational operations are not blocked by cgroup
// policies".
func (p Paths) Uncounted() (free Paths, procs []string) {
	free = Paths{}
	for name, dir := range p {
		if hasController(name, "pids") || name == "" && unix.Access(dir+"/pids.max", unix.F_OK) == nil {
			procs = append(procs, dir+"/cgroup.procs")
		} else {
			free[name] = dir
		}
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
		limit, err := readFile(unix.AT_FDCWD, dir+"/pids.max")
		if err != nil {
			continue
		}
		now, err := readFile(unix.AT_FDCWD, dir+"/pids.current")
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
	return writeFile(unix.AT_FDCWD, file, strconv.Itoa(pid))
}

func openEntry(path string, flags int) (int, error) {
	for {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// OfInit is where init, process pid, has gone below the container's cgroup v2, for
// processes that may not be born in that itself: one that hands controllers on
// to its sub-cgroups has no processes of its own.
//
// Source: cgroup-v2.rst, "No Internal Process Constraint".
func (p Paths) OfInit(pid int) (Sub, error) {
	dir, ok := p[""]
	if !ok {
		return nil, errors.New("the container has no cgroup v2")
	}
	text, err := readFile(unix.AT_FDCWD, fmt.Sprintf("/proc/%d/cgroup", pid))
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
	return ParseSub([]string{rest})
}
