package life

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/config"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/cgroup/limit"
)

// Update changes the limits of a container: change gets those that it has and
// makes the new ones of them. When one of them cannot be set the former ones are
// back and stay recorded.
func (r *Runtime) Update(id string, change func(*specs.LinuxResources)) error {
	return r.change(id, "update", func(c *container) error {
		if c.status() == Stopped {
			return errors.New("cannot update a stopped container")
		}
		// Two of it, of which one changes: they share nothing.
		was, err := c.resources()
		if err != nil {
			return err
		}
		now, err := c.resources()
		if err != nil {
			return err
		}
		change(now)
		err = c.setResources(was, now)
		if errors.Is(err, cgroup.ErrNoCgroups) && !c.hasCgroup() {
			return withoutCgroup(errNoLimits)
		}
		return err
	})
}

var errNoLimits = errors.New("linux.resources: no limits can be set")

// resources returns the limits as recorded.
func (c *container) resources() (*specs.LinuxResources, error) {
	if c.rec.Resources != "" {
		s, err := config.Decode([]byte(c.rec.Resources))
		if err != nil {
			return nil, fmt.Errorf("state: resources: %w", err)
		}
		if s.Linux != nil && s.Linux.Resources != nil {
			return s.Linux.Resources, nil
		}
	}
	return &specs.LinuxResources{}, nil
}

func (c *container) setResources(was, now *specs.LinuxResources) error {
	old, err := limit.New(was, c.mode())
	if err != nil {
		return err
	}
	changed, err := limit.New(now, c.mode())
	if err != nil {
		return err
	}
	text, err := json.Marshal(specs.Spec{Linux: &specs.Linux{Resources: now}})
	if err != nil {
		return err
	}
	devices := !changed.SameDevices(old)
	if err := c.setScope(now, devices); err != nil {
		return errors.Join(err, c.setScope(was, devices))
	}
	if err := changed.Update(old, c.cg.Paths()); err != nil {
		return errors.Join(explainController(err), c.setScope(was, devices))
	}
	c.rec.Resources = string(text)
	if err := c.dir.Save(c.rec); err != nil {
		return errors.Join(err, c.setScope(was, devices), old.Update(changed, c.cg.Paths()))
	}
	return nil
}

// Merge sets in r what with has. Device rules take the place of those that are there, as
// with crun: engines that send the whole of linux.resources along with an update send those
// that the container has, and then nothing is done for them.
//
// Source: runtime-spec config-linux.md "Control groups"; what runc's and crun's update take.
func Merge(r, with *specs.LinuxResources) {
	if len(with.Devices) > 0 { // none is what engines send for "not set"
		r.Devices = with.Devices
	}
	if m := with.Memory; m != nil {
		to := made(&r.Memory)
		set(&to.Limit, m.Limit)
		set(&to.Reservation, m.Reservation)
		set(&to.Swap, m.Swap)
		if m.Limit != nil && *m.Limit == -1 && m.Swap == nil && to.Swap != nil {
			to.Swap = m.Limit // no limit of memory means none of memory and swap together
		}
		set(&to.Swappiness, m.Swappiness)
		set(&to.DisableOOMKiller, m.DisableOOMKiller)
		set(&to.CheckBeforeUpdate, m.CheckBeforeUpdate)
	}
	if p := with.CPU; p != nil {
		to := made(&r.CPU)
		set(&to.Shares, p.Shares)
		set(&to.Quota, p.Quota)
		set(&to.Burst, p.Burst)
		set(&to.Period, p.Period)
		set(&to.RealtimeRuntime, p.RealtimeRuntime)
		set(&to.RealtimePeriod, p.RealtimePeriod)
		set(&to.Idle, p.Idle)
		if p.Cpus != "" {
			to.Cpus = p.Cpus
		}
		if p.Mems != "" {
			to.Mems = p.Mems
		}
	}
	set(&r.Pids, with.Pids)
	if b := with.BlockIO; b != nil {
		mergeBlockIO(made(&r.BlockIO), b)
	}
	if len(with.HugepageLimits) > 0 {
		r.HugepageLimits = with.HugepageLimits
	}
	if n := with.Network; n != nil {
		to := made(&r.Network)
		set(&to.ClassID, n.ClassID)
		if len(n.Priorities) > 0 {
			to.Priorities = n.Priorities
		}
	}
	for name, v := range with.Rdma {
		if r.Rdma == nil {
			r.Rdma = map[string]specs.LinuxRdma{}
		}
		r.Rdma[name] = v
	}
	for name, v := range with.Unified {
		if r.Unified == nil {
			r.Unified = map[string]string{}
		}
		r.Unified[name] = v
	}
}

func mergeBlockIO(to, b *specs.LinuxBlockIO) {
	set(&to.Weight, b.Weight)
	set(&to.LeafWeight, b.LeafWeight)
	for _, d := range b.WeightDevice {
		to.WeightDevice = upsert(to.WeightDevice, d, func(o specs.LinuxWeightDevice) bool { return o.Major == d.Major && o.Minor == d.Minor })
	}
	for _, l := range [...]struct {
		to   *[]specs.LinuxThrottleDevice
		with []specs.LinuxThrottleDevice
	}{
		{&to.ThrottleReadBpsDevice, b.ThrottleReadBpsDevice}, {&to.ThrottleWriteBpsDevice, b.ThrottleWriteBpsDevice},
		{&to.ThrottleReadIOPSDevice, b.ThrottleReadIOPSDevice}, {&to.ThrottleWriteIOPSDevice, b.ThrottleWriteIOPSDevice},
	} {
		for _, d := range l.with {
			*l.to = upsert(*l.to, d, func(o specs.LinuxThrottleDevice) bool { return o.Major == d.Major && o.Minor == d.Minor })
		}
	}
}

// made makes *p where there is none.
func made[T any](p **T) *T {
	if *p == nil {
		*p = new(T)
	}
	return *p
}

func set[T any](to **T, from *T) {
	if from != nil {
		*to = from
	}
}

// upsert puts v in the place of the elements that are the same, or at the end.
func upsert[T any](list []T, v T, same func(T) bool) []T {
	first := slices.IndexFunc(list, same)
	if first < 0 {
		return append(list, v)
	}
	list[first] = v
	rest := slices.DeleteFunc(list[first+1:], same) // the last one of two would count
	return list[:first+1+len(rest)]
}
