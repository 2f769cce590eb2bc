package systemd

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/cgroupconv"
	"github.com/hutch-project/hutch/internal/cpulist"
	"github.com/hutch-project/hutch/internal/dbus"
)

// Versions of systemd that brought properties.
//
// Source: systemd's NEWS.
const (
	versionCPUQuotaPeriod = 242
	versionCpuset         = 244
	versionCPUIdle        = 252
	versionOOMPolicy      = 253
)

// defaultPeriod is the kernel's period of CPU bandwidth, in microseconds.
//
// Source: kernel admin-guide/cgroup-v2.rst, cpu.max; scheduler/sched-bwc.rst.
const defaultPeriod = 100000

// infinity is the value of type t that stands for "no limit".
const infinity = math.MaxUint64

// Properties returns r as properties for StartScope and SetProperties. r is all
// that the container is to have, not the changed part of it: a quota without a
// period stands for one of the kernel's default period. defaults are device rules
// that come after those of r. v2 is the layout of the host's cgroups, version the
// one of systemd.
//
// systemd knows a part of r only, and some of it less exactly than the kernel: it
// gets what it would otherwise overwrite when it sets its units' cgroups anew. The
// cgroup's files are to be written all the same, after it. r has to be one that
// the cgroup package takes; what systemd cannot say is left out.
//
// Source: runtime-spec config-linux.md "Control groups"; systemd.resource-control(5),
// org.freedesktop.systemd1(5).
func Properties(res *specs.LinuxResources, defaults []specs.LinuxDeviceCgroup, v2 bool, version int) ([]dbus.Property, error) {
	if res == nil {
		res = &specs.LinuxResources{}
	}
	b := &builder{v2: v2, version: version}
	b.devices(res.Devices, defaults)
	b.memory(res.Memory)
	b.cpu(res.CPU)
	if res.Pids != nil && res.Pids.Limit != nil {
		b.tasks(*res.Pids.Limit)
	}
	if res.BlockIO != nil && res.BlockIO.Weight != nil && *res.BlockIO.Weight != 0 {
		if v2 {
			b.set("IOWeight", dbus.Uint64(cgroupconv.IOWeight(*res.BlockIO.Weight)))
		} else {
			b.set("BlockIOWeight", dbus.Uint64(uint64(*res.BlockIO.Weight)))
		}
	}
	if v2 {
		b.unified(res.Unified)
	}
	if b.err != nil {
		return nil, b.err
	}
	return b.list, nil
}

// resources begins the name of every field here.
const resources = "linux.resources"

// builder collects the properties and the first error.
type builder struct {
	list    []dbus.Property
	v2      bool
	version int
	err     error
}

func (b *builder) fail(field string, err error) {
	if err != nil && b.err == nil {
		b.err = fmt.Errorf("%s.%s: %w", resources, field, err)
	}
}

// set returns a property its value, which replaces an earlier one.
func (b *builder) set(name string, v dbus.Value) {
	for i := range b.list {
		if b.list[i].Name == name {
			b.list[i].Value = v
			return
		}
	}
	b.list = append(b.list, dbus.Property{Name: name, Value: v})
}

// limit is n, or infinity for cgroupconv.Unlimited.
func limit(n int64) dbus.Value {
	if n < 0 {
		return dbus.Uint64(infinity)
	}
	return dbus.Uint64(uint64(n))
}

func (b *builder) memory(m *specs.LinuxMemory) {
	if m == nil {
		return
	}
	most, swap, low := value(m.Limit), value(m.Swap), value(m.Reservation)
	if most != 0 {
		b.set(pick(b.v2, "MemoryMax", "MemoryLimit"), limit(most))
	}
	if !b.v2 {
		return // v1's other limits are not systemd's
	}
	if low != 0 {
		b.set("MemoryLow", limit(low))
	}
	only, set, err := cgroupconv.SwapMax(most, swap)
	b.fail("memory.swap", err)
	if set {
		b.set("MemorySwapMax", limit(only))
	}
}

func (b *builder) cpu(c *specs.LinuxCPU) {
	if c == nil {
		return
	}
	if s := value(c.Shares); s != 0 {
		if b.v2 {
			b.set("CPUWeight", dbus.Uint64(cgroupconv.CPUWeight(s)))
		} else {
			b.set("CPUShares", dbus.Uint64(s))
		}
	}
	if b.v2 && value(c.Idle) == 1 {
		b.idle()
	}
	b.quota(value(c.Quota), value(c.Period))
	b.cpuset("cpu.cpus", "AllowedCPUs", c.Cpus, cpulist.MaxCPU)
	b.cpuset("cpu.mems", "AllowedMemoryNodes", c.Mems, cpulist.MaxNode)
}

// idle sets the policy SCHED_IDLE, which a weight of 0 stands for.
func (b *builder) idle() {
	if b.version >= versionCPUIdle {
		b.set("CPUWeight", dbus.Uint64(0))
	}
}

// quota sets the bandwidth: quota microseconds, none when not above 0, in each
// period. 0 is "not set" for both.
//
// systemd keeps the quota as a whole percentage of one CPU once it reads its own
// files again. It is rounded up, so that the container never gets less than asked.
func (b *builder) quota(quota int64, period uint64) {
	if quota == 0 && period == 0 {
		return
	}
	if period != 0 && b.version >= versionCPUQuotaPeriod {
		b.set("CPUQuotaPeriodUSec", dbus.Uint64(period))
	}
	perSecond := uint64(infinity)
	if quota > 0 {
		if period == 0 {
			period = defaultPeriod
		}
		const percent = 10000 // microseconds in a second
		hi, lo := bits.Mul64(uint64(quota), 1000000/percent)
		if hi < period {
			n, rest := bits.Div64(hi, lo, period)
			if rest != 0 {
				n++
			}
			if n < infinity/percent {
				perSecond = n * percent
			}
		}
	}
	b.set("CPUQuotaPerSecUSec", dbus.Uint64(perSecond))
}

func (b *builder) cpuset(field, property, list string, highest int) {
	if strings.TrimSpace(list) == "" || b.version < versionCpuset {
		return
	}
	mask, err := bitmap(list, highest)
	if err != nil {
		b.fail(field, fmt.Errorf("%q: %w", list, err))
		return
	}
	b.set(property, dbus.Bytes(mask))
}

// bitmap returns a list as "0-3,8" as a mask of bits: byte 0 has the numbers 0 to 7.
//
// Source: cpuset(7), "List format".
func bitmap(list string, highest int) ([]byte, error) {
	// The kernel passes over empty parts.
	parts := strings.FieldsFunc(list, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' })
	if len(parts) == 0 {
		return nil, errors.New("has no numbers")
	}
	ranges, err := cpulist.Parse(strings.Join(parts, ","), highest)
	if err != nil {
		return nil, fmt.Errorf("%w; give a list as 0-3,8", err)
	}
	return cpulist.Bitmap(ranges), nil
}

// tasks sets the number of processes, -1 for no limit. systemd refuses 0.
func (b *builder) tasks(n int64) {
	if n == 0 {
		n = 1
	}
	b.set("TasksMax", limit(n))
}

// value is *p, or 0, "not set", for nil.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
