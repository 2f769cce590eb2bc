package cgroup

import "strings"

// Mount describes one hierarchy for a "cgroup" mount inside a container.
type Mount struct {
	Name        string   // as in /proc/self/cgroup: "cpu,cpuacct", "name=systemd", "" for v2
	Dir         string   // directory below the mount's destination, "" for the destination itself
	Mountpoint  string   // where the host has it, absolute
	Path        string   // the container's cgroup from Mountpoint, with a leading slash
	Controllers []string // controllers of a v1 hierarchy; none for a named one and for v2
	Links       []string // names beside Dir that are links to it, "cpu" for "cpu,cpuacct"
}

// Mounts describes the hierarchies of the host and the container's place in each.
func (p *Plan) Mounts() []Mount {
	out := make([]Mount, 0, len(p.places))
	for i := range p.places {
		c := &p.places[i]
		m := Mount{Name: c.name, Dir: c.dir, Mountpoint: p.root, Path: "/" + c.rel}
		if c.dir != "" {
			m.Mountpoint += "/" + c.dir
		}
		if c.name != "" && !strings.HasPrefix(c.name, "name=") {
			m.Controllers = strings.Split(c.name, ",")
		}
		if len(m.Controllers) > 1 {
			for _, link := range m.Controllers {
				if link != c.dir && realName(-1, p.root+"/"+link) == c.dir {
					m.Links = append(m.Links, link)
				}
			}
		}
		out = append(out, m)
	}
	return out
}
