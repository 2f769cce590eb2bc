package cgroup

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
)

// Mount describes one hierarchy for a "cgroup" mount inside a container.
type Mount struct {
	Name        string   // as in /proc/self/cgroup: "cpu,cpuacct", "name=systemd", "" for v2
	Dir         string   // directory below the mount's destination, "" for the destination itself
	Mountpoint  string   // where the host has it, absolute
	Path        string   // the container's cgroup from Mountpoint, with a leading slash
	Controllers []string // controllers of a v1 hierarchy; none for a named one and for v2
	Links       []string // names beside Dir that are links to it, "cpu" for "cpu,cpuacct"
}

// Mounts returns the hierarchies of the host, with the container's place in each.
func (p *Plan) Mounts() []Mount {
	out := make([]Mount, 0, len(p.dirs))
	for i := range p.dirs {
		d := &p.dirs[i]
		out = append(out, d.mount(p.root, d.Path))
	}
	return out
}

// OwnMounts describes the hierarchies of the host and the runtime's own place in each. On
// v2 the place is found where the text of /proc/self/cgroup is not at hand: it is the
// root, which every such path is below.
//
// In a container without a cgroup namespace the path that the kernel names is often not
// below the mount point, which then shows that cgroup itself.
//
// Source: cgroup_namespaces(7).
func (l *Layout) OwnMounts() []Mount {
	out := make([]Mount, 0, len(l.hierarchies))
	for i := range l.hierarchies {
		h := &l.hierarchies[i]
		own := strings.TrimPrefix(h.own, "/")
		if own != "" {
			if fd, err := cgroupfs.Beneath(h.fd, own, unix.O_PATH|unix.O_DIRECTORY); err == nil {
				unix.Close(fd)
			} else {
				own = ""
			}
		}
		out = append(out, h.mount(l.Root, own))
	}
	return out
}

// mount describes the hierarchy with the cgroup rel in it, empty for its root.
func (h *hierarchy) mount(root, rel string) Mount {
	m := Mount{Name: h.name, Dir: h.dir, Mountpoint: root, Path: "/" + rel}
	if rel == "" {
		m.Path = ""
	}
	if h.dir != "" {
		m.Mountpoint += "/" + h.dir
	}
	if h.name != "" && !strings.HasPrefix(h.name, "name=") {
		m.Controllers = strings.Split(h.name, ",")
	}
	if len(m.Controllers) > 1 {
		for _, link := range m.Controllers {
			if link != h.dir && realName(-1, root+"/"+link) == h.dir {
				m.Links = append(m.Links, link)
			}
		}
	}
	return m
}
