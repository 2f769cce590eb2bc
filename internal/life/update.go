package life

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/config"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/cgroup/resource"
)

// Update changes the limits of a container: change gets those that it has and
// makes the new ones of them. When one of them cannot be set the former ones are
// back and stay recorded.
func (r *Runtime) Update(id string, change func(*specs.LinuxResources)) error {
	return r.change(id, "update", func(ctr *container) error {
		if ctr.status() == Stopped {
			return errors.New("cannot update a stopped container")
		}
		// Two of it, of which one changes: they share nothing.
		was, err := ctr.resources()
		if err != nil {
			return err
		}
		now, err := ctr.resources()
		if err != nil {
			return err
		}
		change(now)
		err = ctr.setResources(was, now)
		if errors.Is(err, cgroup.ErrNoCgroups) && !ctr.hasCgroup() {
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
	old, err := resource.New(was, c.mode())
	if err != nil {
		return err
	}
	changed, err := resource.New(now, c.mode())
	if err != nil {
		return err
	}
	text, err := json.Marshal(specs.Spec{Linux: &specs.Linux{Resources: now}})
	if err != nil {
		return err
	}
	devices := !changed.SameDevices(old)
	// Before the files, which systemd writes as well: the exact values come last.
	if err := c.setScope(now, devices); err != nil {
		return errors.Join(err, c.setScope(was, devices))
	}
	if err := changed.Update(old, c.cg.Paths()); err != nil {
		return errors.Join(explainController(err), c.setScope(was, devices))
	}
	// The record last: it has what holds.
	c.rec.Resources = string(text)
	if err := c.dir.Save(c.rec); err != nil {
		return errors.Join(err, c.setScope(was, devices), old.Update(changed, c.cg.Paths()))
	}
	return nil
}

// Merge sets in r what with has. Device rules take the place of those that are there, as
// with crun: engines that send the whole of linux.resources along with an update send those
// that the container has, and then nothing is done for them. A limit of 0 is not set, except
// where 0 is a value: Docker sends one for each limit that stays.
//
// Source: runtime-spec config-linux.md "Control groups"; what runc's and crun's update take.
func Merge(res, with *specs.LinuxResources) {
	if len(with.Devices) > 0 { // none is what engines send for "not set"
		res.Devices = with.Devices
	}
	if m := with.Memory; m != nil {
		to := made(&res.Memory)
		limited(&to.Limit, m.Limit)
		limited(&to.Reservation, m.Reservation)
		limited(&to.Swap, m.Swap)
		if m.Limit != nil && *m.Limit == -1 && m.Swap == nil && to.Swap != nil {
			to.Swap = m.Limit // no limit of memory means none of memory and swap together
		}
		set(&to.Swappiness, m.Swappiness)
		set(&to.DisableOOMKiller, m.DisableOOMKiller)
		set(&to.CheckBeforeUpdate, m.CheckBeforeUpdate)
	}
	if cpu := with.CPU; cpu != nil {
		to := made(&res.CPU)
		limited(&to.Shares, cpu.Shares)
		limited(&to.Quota, cpu.Quota)
		set(&to.Burst, cpu.Burst)
		limited(&to.Period, cpu.Period)
		limited(&to.RealtimeRuntime, cpu.RealtimeRuntime)
		limited(&to.RealtimePeriod, cpu.RealtimePeriod)
		set(&to.Idle, cpu.Idle)
		if cpu.Cpus != "" {
			to.Cpus = cpu.Cpus
		}
		if cpu.Mems != "" {
			to.Mems = cpu.Mems
		}
	}
	set(&res.Pids, with.Pids)
	if b := with.BlockIO; b != nil {
		mergeBlockIO(made(&res.BlockIO), b)
	}
	if len(with.HugepageLimits) > 0 {
		res.HugepageLimits = with.HugepageLimits
	}
	if n := with.Network; n != nil {
		to := made(&res.Network)
		set(&to.ClassID, n.ClassID)
		if len(n.Priorities) > 0 {
			to.Priorities = n.Priorities
		}
	}
	for name, v := range with.Rdma {
		if res.Rdma == nil {
			res.Rdma = map[string]specs.LinuxRdma{}
		}
		res.Rdma[name] = v
	}
	for name, v := range with.Unified {
		if res.Unified == nil {
			res.Unified = map[string]string{}
		}
		res.Unified[name] = v
	}
}

func mergeBlockIO(to, blkio *specs.LinuxBlockIO) {
	limited(&to.Weight, blkio.Weight)
	limited(&to.LeafWeight, blkio.LeafWeight)
	for _, d := range blkio.WeightDevice {
		to.WeightDevice = upsert(to.WeightDevice, d, func(o specs.LinuxWeightDevice) bool { return o.Major == d.Major && o.Minor == d.Minor })
	}
	for _, l := range [...]struct {
		to   *[]specs.LinuxThrottleDevice
		with []specs.LinuxThrottleDevice
	}{
		{&to.ThrottleReadBpsDevice, blkio.ThrottleReadBpsDevice}, {&to.ThrottleWriteBpsDevice, blkio.ThrottleWriteBpsDevice},
		{&to.ThrottleReadIOPSDevice, blkio.ThrottleReadIOPSDevice}, {&to.ThrottleWriteIOPSDevice, blkio.ThrottleWriteIOPSDevice},
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

// limited is set for what has no limit where it is 0.
func limited[T comparable](to **T, from *T) {
	if from != nil && *from != *new(T) {
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
