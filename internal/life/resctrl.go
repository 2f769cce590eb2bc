package life

import (
	"errors"

	"github.com/hutch-project/hutch/internal/host/rdt"
	"github.com/hutch-project/hutch/internal/host/state"
)

// makeRdt makes the resource control group of linux.intelRdt.
func (b *build) makeRdt() error {
	if b.spec.Linux == nil || b.spec.Linux.IntelRdt == nil {
		return nil
	}
	root := b.r.Resctrl
	if root == "" {
		var err error
		if root, err = rdt.Root(); err != nil {
			return err
		}
	}
	g, err := rdt.Plan(root, b.o.ID, b.spec.Linux.IntelRdt)
	if err != nil {
		return err
	}
	if err := g.Create(); err != nil {
		return err
	}
	b.onFailure(func() { b.warnIf(g.Remove()) })
	b.rdt = g
	b.rec.Rdt = state.Rdt{Dir: g.Dir, Monitor: g.Monitor, Own: g.Own}
	return b.dir.Save(b.rec)
}

// rdtGroup is the container's group by the record, nil for none.
func (c *container) rdtGroup() *rdt.Group {
	r := c.rec.Rdt
	if r.Dir == "" {
		return nil
	}
	return &rdt.Group{Dir: r.Dir, Monitor: r.Monitor, Own: r.Own}
}

// UpdateRdt changes the schemata of the container's resource control group; an
// empty one stays. undo brings the former ones back, for when the rest of an
// update fails.
func (r *Runtime) UpdateRdt(id, l3CacheSchema, memBwSchema string) (undo func() error, err error) {
	err = r.change(id, "update", func(c *container) error {
		if c.rec.Rdt.Dir == "" {
			return errors.New("the container has no resource control group: its configuration has no linux.intelRdt")
		}
		undo, err = rdt.Set(c.rec.Rdt.Dir, l3CacheSchema, memBwSchema)
		return err
	})
	return undo, err
}
