package resource

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/cgroupconv"
)

// cpu emits the writes of the controllers cpu and cpuset.
//
// Source: runtime-spec config-linux.md "CPU"; cgroup-v2.rst "CPU Interface Files";
// kernel scheduler/sched-bwc.rst and scheduler/sched-rt-group.rst.
func (b *builder) cpu(c *specs.LinuxCPU) {
	if c == nil {
		return
	}
	b.share(c)
	if b.unified {
		b.bandwidthV2(c)
	} else {
		b.bandwidthV1(c)
	}
	b.realtime(c)
	for _, set := range [...]struct{ name, list string }{{"cpus", c.Cpus}, {"mems", c.Mems}} {
		if set.list == "" {
			continue
		}
		w := b.add("cpu."+set.name, "cpuset", "cpuset."+set.name, set.list)
		if !b.unified { // mounted with "noprefix", as Android does
			fallback := *w
			fallback.File = set.name
			w.fallback = &fallback
		}
	}
}

// share emits the weight and the idle policy. An idle cgroup has its own weight
// and the kernel refuses another (EINVAL), so that shares wait until it is idle
// no more.
func (b *builder) share(cpu *specs.LinuxCPU) {
	idle := false
	if cpu.Idle != nil {
		if *cpu.Idle != 0 && *cpu.Idle != 1 {
			b.failf("%s.cpu.idle: %d: give 0, or 1 for SCHED_IDLE", resources, *cpu.Idle)
		}
		idle = *cpu.Idle == 1
		b.add("cpu.idle", "cpu", "cpu.idle", decimal(*cpu.Idle))
	}
	if cpu.Shares == nil || *cpu.Shares == 0 || idle {
		return
	}
	if b.unified {
		b.add("cpu.shares", "cpu", "cpu.weight", decimal(cgroupconv.CPUWeight(*cpu.Shares)))
		return
	}
	if *cpu.Shares < cgroupconv.MinShares || *cpu.Shares > cgroupconv.MaxShares { // the kernel would take the nearest and say nothing
		b.failf("%s.cpu.shares: %d is out of range; give %d to %d", resources, *cpu.Shares, cgroupconv.MinShares, cgroupconv.MaxShares)
	}
	b.add("cpu.shares", "cpu", "cpu.shares", decimal(*cpu.Shares))
}

// bandwidthV2 writes the quota alone where no period is given: the kernel keeps
// the present one.
func (b *builder) bandwidthV2(cpu *specs.LinuxCPU) {
	quota, period := value(cpu.Quota), value(cpu.Period)
	if quota != 0 || period != 0 {
		field, text := "cpu.quota", "max"
		if quota == 0 {
			field = "cpu.period"
		}
		if quota > 0 {
			text = decimal(quota)
		}
		if period != 0 {
			text += " " + decimal(period)
		}
		w := b.add(field, "cpu", "cpu.max", text)
		w.group, w.keepQuota = groupBandwidth, quota == 0
	}
	if cpu.Burst != nil {
		b.add("cpu.burst", "cpu", "cpu.max.burst", decimal(*cpu.Burst)).group = groupBandwidth
	}
}

func (b *builder) bandwidthV1(c *specs.LinuxCPU) {
	if p := value(c.Period); p != 0 {
		b.add("cpu.period", "cpu", "cpu.cfs_period_us", decimal(p)).group = groupBandwidth
	}
	if q := value(c.Quota); q != 0 {
		b.add("cpu.quota", "cpu", "cpu.cfs_quota_us", decimal(max(q, cgroupconv.Unlimited))).group = groupBandwidth
	}
	if c.Burst != nil {
		b.add("cpu.burst", "cpu", "cpu.cfs_burst_us", decimal(*c.Burst)).group = groupBandwidth
	}
}

// realtime sets the container's own cgroup. The cgroups above it have to have
// the time to give, and giving it to them is the administrator's: it is taken
// from all others.
func (b *builder) realtime(c *specs.LinuxCPU) {
	const why = "it has no realtime group scheduling"
	if p := value(c.RealtimePeriod); p != 0 && b.onlyV1("cpu.realtimePeriod", why) {
		b.add("cpu.realtimePeriod", "cpu", "cpu.rt_period_us", decimal(p)).group = groupRealtime
	}
	if r := value(c.RealtimeRuntime); r != 0 && b.onlyV1("cpu.realtimeRuntime", why) {
		b.add("cpu.realtimeRuntime", "cpu", "cpu.rt_runtime_us", decimal(max(r, cgroupconv.Unlimited))).group = groupRealtime
	}
}

// value is *p, or 0, "not set", for nil.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
