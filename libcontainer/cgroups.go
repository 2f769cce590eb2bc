package libcontainer

import (
	"fmt"
	"strings"

	"hutch/libcontainer/cgroup"
	"hutch/libcontainer/idmap"
	"hutch/libcontainer/rootfs"
)

// planCgroup decides where the container's cgroups will be.
func (b *build) planCgroup() error {
	l, err := cgroup.Detect(cgroup.Root)
	if err != nil {
		return err
	}
	b.layout = l
	path := ""
	if b.spec.Linux != nil {
		path = b.spec.Linux.CgroupsPath
	}
	b.cg, err = l.Plan(path, b.o.ID, b.r.SystemdCgroup)
	return err
}

// makeCgroup makes the planned cgroups.
func (b *build) makeCgroup() error {
	b.onFailure(func() { b.warnIf(b.cg.Undo()) })
	if err := b.cg.Create(); err != nil {
		return err
	}
	// From here on what is in the cgroups is the container's, and delete may
	// kill it.
	b.rec.Cgroup.Own = true
	return b.dir.Save(b.rec)
}

// cgroupMounts describes the container's cgroups for mounts of type cgroup.
func cgroupMounts(p *cgroup.Plan) *rootfs.Cgroup {
	ms := p.Mounts()
	if len(ms) == 0 {
		return nil
	}
	c := &rootfs.Cgroup{}
	for _, m := range ms {
		dir := strings.TrimSuffix(m.Mountpoint, "/") + m.Path
		if m.Name == "" && m.Dir == "" {
			return &rootfs.Cgroup{V2: true, Dir: dir}
		}
		options := m.Name
		c.Hierarchies = append(c.Hierarchies, rootfs.Hierarchy{Name: m.Dir, Options: options, Dir: dir, Links: m.Links})
	}
	return c
}

// openIdmaps makes the user namespaces of idmapped mounts and gives the program
// their descriptors. The caller calls done after the clone.
func (b *build) openIdmaps() (done func(), err error) {
	var closers []func() error
	done = func() {
		for _, c := range closers {
			_ = c()
		}
	}
	for _, m := range b.out.Root.Idmaps {
		uids, gids := m.UIDs, m.GIDs
		if len(uids) == 0 && b.spec.Linux != nil {
			uids, gids = b.spec.Linux.UIDMappings, b.spec.Linux.GIDMappings
		}
		f, err := idmap.UserNS(uids, gids)
		if err != nil {
			done()
			return nil, fmt.Errorf("mounts[%d].uidMappings: %w", m.Mount, err)
		}
		closers = append(closers, f.Close)
		b.out.Program.Set(m.Fd, int64(f.Fd()))
	}
	return done, nil
}
