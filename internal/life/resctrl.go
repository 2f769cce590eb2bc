package life

import (
	"errors"

	"github.com/hutch-project/hutch/internal/host/rdt"
	"github.com/hutch-project/hutch/internal/host/state"
)

// makeRdt makes the resource control group of linux.intelRdt.
func (m *maker) makeRdt() (undo func(), err error) {
	g := m.plan.rdt
	if g == nil {
		return nil, nil
	}
	if err := g.Create(); err != nil {
		return nil, err
	}
	m.plan.record.Rdt = state.Rdt{Dir: g.Dir, Monitor: g.Monitor, Own: g.Own}
	return func() { m.r.warnIf(g.Remove()) }, m.dir.Save(m.plan.record)
}

// rdtGroup returns the container's group by the record, nil for none.
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
