package cgroup

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
)

// Plan is where a container's cgroups are going to be. Nothing is made before
// Create. It uses the Layout's descriptors.
type Plan struct {
	dirs    []directory
	mode    Mode
	root    string
	cpuset  map[string]string // cpus and mems that the container is to have, on v1
	created bool              // Create has succeeded: the members are the container's
}

// directory is the container's directory in one hierarchy. Its path is from the mount
// point, neither empty nor with a leading slash.
type directory struct {
	*hierarchy
	cgroupfs.Dir
	made  bool     // Create has made it
	ino   uint64   // its number, 0 before Create
	above []string // parents that Create has made, the outermost first
}

// Cpuset says which processors and memory nodes the container is to have; empty is any.
func (p *Plan) Cpuset(cpus, mems string) { p.cpuset = map[string]string{"cpus": cpus, "mems": mems} }

// NoPlan returns the plan of a container that stays in the caller's cgroups.
func NoPlan() *Plan { return &Plan{mode: None, root: Root} }

// Plan decides where the container id is placed. cgroupsPath is
// linux.cgroupsPath of config.json. An absolute one is taken as it is, below each
// hierarchy's mount point. A relative one, and the id when it is empty, is below
// the runtime's own cgroup on v1 and hybrid, and below that cgroup's parent on v2,
// because a cgroup v2 that has processes cannot hand controllers on. On a host
// without cgroups an empty cgroupsPath is an empty plan, and any other is
// ErrNoCgroups. A path that leaves its place by ".." or names a hierarchy's root
// is refused: its members would be killed with the container.
//
// Source: runtime-spec config-linux.md "Cgroups Path"; the rule for relative
// paths is runc's.
func (l *Layout) Plan(cgroupsPath, id string) (*Plan, error) {
	text, what := cgroupsPath, "linux.cgroupsPath"
	if text == "" {
		text, what = id, "id"
	}
	inner, err := components(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %q: %w", what, text, err)
	}
	p := &Plan{mode: l.Mode, root: l.Root}
	if l.Mode == None {
		if cgroupsPath != "" {
			return nil, fmt.Errorf("linux.cgroupsPath: %q: %w", cgroupsPath, ErrNoCgroups)
		}
		return p, nil
	}
	p.dirs = make([]directory, 0, len(l.hierarchies))
	for i := range l.hierarchies {
		h := &l.hierarchies[i]
		rel := inner
		if text[0] != '/' {
			if rel, err = l.below(h, inner); err != nil {
				return nil, fmt.Errorf("%s: %q: %w; give an absolute linux.cgroupsPath", what, text, err)
			}
		}
		p.dirs = append(p.dirs, directory{
			hierarchy: h, Dir: cgroupfs.Dir{FD: h.fd, Path: rel, Abs: l.mountpoint(h) + "/" + rel},
		})
	}
	return p, nil
}

// components checks path and returns it without empty and "." components.
func components(path string) (string, error) {
	var out []string
	for name := range strings.SplitSeq(path, "/") {
		switch {
		case name == "" || name == ".":
			continue
		case name == "..":
			return "", fmt.Errorf("\"..\" is not allowed in a cgroup's path")
		case len(name) > unix.NAME_MAX:
			return "", fmt.Errorf("a component is longer than %d bytes", unix.NAME_MAX)
		case strings.ContainsAny(name, "\x00\n"):
			return "", fmt.Errorf("a cgroup's name has neither NUL nor newline")
		}
		out = append(out, name)
	}
	if len(out) == 0 {
		return "", fmt.Errorf("names the root of the cgroup hierarchy; name a cgroup below it")
	}
	s := strings.Join(out, "/")
	if len(s) >= unix.PathMax-unix.NAME_MAX {
		return "", fmt.Errorf("longer than %d bytes", unix.PathMax-unix.NAME_MAX-1)
	}
	return s, nil
}

// below puts inner below the runtime's own cgroup in h, or on v2 beside it.
func (l *Layout) below(h *hierarchy, inner string) (string, error) {
	own := h.own
	if l.Mode == V2 {
		var err error
		if own, err = l.ownUnified(); err != nil {
			return "", err
		}
		own = own[:strings.LastIndexByte(own, '/')]
	} else {
		own = visible(h.fd, own)
	}
	if own = strings.Trim(own, "/"); own == "" {
		return inner, nil
	}
	for name := range strings.SplitSeq(own, "/") {
		if name == ".." {
			return "", fmt.Errorf("the runtime's own cgroup /%s is outside of its cgroup namespace", own)
		}
	}
	return own + "/" + inner, nil
}

// ownUnified returns the runtime's own cgroup on v2.
func (l *Layout) ownUnified() (string, error) {
	if l.self == "" {
		text, err := cgroupfs.ReadFile(unix.AT_FDCWD, "/proc/self/cgroup")
		if err != nil {
			return "", err
		}
		l.self = text
	}
	if own, ok := unifiedOf(l.self); ok {
		return own, nil
	}
	return "", fmt.Errorf("/proc/self/cgroup has no line for cgroup v2")
}

// visible returns own as it is seen below the mount point fd. In a container
// without a cgroup namespace only the container's part of a hierarchy is
// mounted, while /proc/self/cgroup has the whole path: the longest part of it
// that exists is what is left of it.
func visible(fd int, own string) string {
	for rest := strings.Trim(own, "/"); rest != ""; {
		var st unix.Stat_t
		if unix.Fstatat(fd, rest, &st, unix.AT_SYMLINK_NOFOLLOW) == nil {
			return rest
		}
		_, rest, _ = strings.Cut(rest, "/")
	}
	return ""
}

func (l *Layout) mountpoint(h *hierarchy) string {
	if h.dir == "" {
		return l.Root
	}
	return l.Root + "/" + h.dir
}

// Paths returns the record of the plan, to be written down before Create.
func (p *Plan) Paths() Paths {
	m := make(Paths, len(p.dirs))
	for i := range p.dirs {
		m[p.dirs[i].name] = p.dirs[i].Abs
	}
	return m
}

// Inodes returns the numbers of the directories, to be written down after Create.
func (p *Plan) Inodes() Inodes {
	m := make(Inodes, len(p.dirs))
	for i := range p.dirs {
		if d := &p.dirs[i]; d.ino != 0 {
			m[d.name] = d.ino
		}
	}
	return m
}

// Manager returns the Manager of the planned cgroups.
func (p *Plan) Manager() Manager {
	m, err := Load(p.Paths(), p.Inodes())
	if err != nil {
		// Only a relative Layout.Root, which Detect's caller gave, leads here.
		return none{}
	}
	return m
}

// Mode returns the layout of the host.
func (p *Plan) Mode() Mode { return p.mode }

// Dir returns the container's directory in the hierarchy of a controller; ok is false
// when that is in none. On v2 it is the same for all.
func (p *Plan) Dir(controller string) (dir cgroupfs.Dir, ok bool) {
	for i := range p.dirs {
		d := &p.dirs[i]
		if p.mode == V2 || hasController(d.name, controller) {
			return d.Dir, true
		}
	}
	return cgroupfs.Dir{}, false
}

// IsNew reports whether Create has made all directories, so that they are as the kernel
// makes new ones.
func (p *Plan) IsNew() bool {
	for i := range p.dirs {
		if !p.dirs[i].made {
			return false
		}
	}
	return true
}
