package device

import (
	"fmt"

	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/internal/seat"
)

// exceptions returns the rules as the list of the devices controller of v1, on
// which the order has no say. A rule that takes a part out of a wider one cannot
// be given in such a list and is an error: the kernel would say nothing and go by
// the wider one. Only default rules may do so without effect.
//
// Source: kernel cgroup-v1/devices.rst; security/device_cgroup.c.
func (d *Rules) exceptions() ([]Entry, error) {
	list := make([]Entry, 0, len(d.rules)+1)
	for i := range d.rules {
		r := &d.rules[i]
		for _, e := range r.entries() {
			if r.allow != d.all {
				list = Add(list, e)
				continue
			}
			var ok bool
			if list, ok = Remove(list, e, true); !ok && r.field != "" {
				return nil, fmt.Errorf("%s: %s is a part of a wider rule before it, and cgroup v1 cannot take it out; "+
					"put the exception's opposite in the wider rule's place", r.field, &e)
			}
		}
	}
	return list, nil
}

// listWrite is one write to devices.allow or devices.deny.
type listWrite struct {
	allow bool
	text  string
}

// writesFrom returns what leads from the rules before to the rules d: from
// unknown ones, nil, by way of all or nothing, and otherwise by what has changed
// alone, so that no device that stays allowed is denied for a moment.
func (d *Rules) writesFrom(before *Rules) ([]listWrite, error) {
	list, err := d.exceptions()
	if err != nil {
		return nil, err
	}
	var old []Entry
	var out []listWrite
	// What a cgroup that allows all does not allow is not known (devices.list
	// does not tell), so that it starts anew.
	if before == nil || before.all || d.all {
		out = append(out, listWrite{d.all, "a"})
	} else if old, err = before.exceptions(); err != nil {
		return nil, err
	}
	for _, change := range [...]struct {
		from, without []Entry
		allow         bool
	}{{old, list, d.all}, {list, old, !d.all}} {
		for _, e := range change.from {
			for _, o := range change.without {
				if o.same(&e) {
					e.access &^= o.access
				}
			}
			if e.access != 0 {
				out = append(out, listWrite{change.allow, e.String()})
			}
		}
	}
	return out, nil
}

// setV1 makes d the device rules of the cgroup at, which had the rules before, nil
// when those are not known. A caller that may not write there has no rights over
// devices either: the rules are left out then.
func (d *Rules) setV1(at cgroupfs.Dir, before *Rules) error {
	writes, err := d.writesFrom(before)
	if err != nil {
		return err
	}
	err = writeDevices(at, writes)
	switch {
	case err == nil || cgroupfs.IsPermission(err) && !seat.HostRoot():
		return nil
	case cgroupfs.IsPermission(err):
		err = fmt.Errorf("%w: the cgroups above it have to allow the device too", err)
	}
	return fmt.Errorf("%s: %w", field, err)
}

// writeDevices opens each of the two files once, for all its rules.
func writeDevices(at cgroupfs.Dir, writes []listWrite) (err error) {
	var files [2]*cgroupfs.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for _, w := range writes {
		i, name := 0, "/devices.deny"
		if w.allow {
			i, name = 1, "/devices.allow"
		}
		if files[i] == nil {
			if files[i], err = cgroupfs.OpenFile(at.FD, at.Path+name); err != nil {
				return err
			}
		}
		if err := files[i].Write(w.text); err != nil {
			return err
		}
	}
	return nil
}
