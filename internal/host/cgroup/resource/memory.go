package resource

import (
	"math"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/cgroupconv"
)

// memory emits the memory controller's writes.
//
// Source: runtime-spec config-linux.md "Memory"; cgroup-v2.rst "Memory Interface
// Files"; cgroup-v1/memory.rst.
func (b *builder) memory(m *specs.LinuxMemory) {
	if m == nil {
		return
	}
	limit := b.bytes("memory.limit", m.Limit)
	swap := b.bytes("memory.swap", m.Swap)
	reservation := b.bytes("memory.reservation", m.Reservation)
	if m.CheckBeforeUpdate != nil && *m.CheckBeforeUpdate {
		b.check = &memoryCheck{max(limit, 0), max(swap, 0)}
	}
	if b.unified {
		b.memoryV2(limit, swap)
	} else {
		b.memoryV1(m, limit, swap)
	}
	if reservation != 0 {
		b.add("memory.reservation", "memory", b.pick("memory.soft_limit_in_bytes", "memory.low"), b.limit(reservation))
	}
	b.swappiness(m.Swappiness)
	if m.DisableOOMKiller != nil && *m.DisableOOMKiller &&
		b.onlyV1("memory.disableOOMKiller", "its OOM killer cannot be turned off") {
		b.add("memory.disableOOMKiller", "memory", "memory.oom_control", "1")
	}
	if m.Kernel != nil && *m.Kernel != 0 {
		b.ignored = append(b.ignored, resources+".memory.kernel")
	}
	if m.KernelTCP != nil && *m.KernelTCP != 0 {
		b.ignored = append(b.ignored, resources+".memory.kernelTCP")
	}
}

func (b *builder) memoryV2(limit, swap int64) {
	only, set, err := cgroupconv.SwapMax(limit, swap)
	if err != nil {
		b.failf("%s.memory.swap: %d: %w", resources, swap, err)
		return
	}
	if set {
		w := b.add("memory.swap", "memory", "memory.swap.max", b.limit(only))
		// Without swap in the kernel there is none to use.
		w.optional = only == cgroupconv.Unlimited || only == 0
	}
	if limit != 0 {
		b.add("memory.limit", "memory", "memory.max", b.limit(limit))
	}
}

// memoryV1 emits the limits as a group: the kernel refuses at each moment a
// limit of memory above that of memory and swap, and which of the two has to go
// first depends on the present values.
func (b *builder) memoryV1(m *specs.LinuxMemory, limit, swap int64) {
	if m.UseHierarchy != nil && *m.UseHierarchy { // always so since Linux 5.11
		b.add("memory.useHierarchy", "memory", "memory.use_hierarchy", "1").optional = true
	}
	if limit > 0 && swap > 0 && swap < limit {
		b.failf("%s.memory.swap: %d: is the limit of memory and swap together: it cannot be below memory.limit",
			resources, swap)
		return
	}
	if limit != 0 {
		b.add("memory.limit", "memory", "memory.limit_in_bytes", b.limit(limit)).group = groupMemory
	}
	free := limit == cgroupconv.Unlimited && swap == 0 // memory without limit has swap without limit
	if free {
		swap = cgroupconv.Unlimited
	}
	if swap != 0 {
		w := b.add("memory.swap", "memory", "memory.memsw.limit_in_bytes", b.limit(swap))
		w.group, w.optional = groupMemory, free
	}
}

// swappiness emits memory.swappiness. Docker sends -1, in two's complement, for
// "not set".
func (b *builder) swappiness(s *uint64) {
	if s == nil || *s == math.MaxUint64 {
		return
	}
	if !b.onlyV1("memory.swappiness", "it has no swappiness for one cgroup") {
		return
	}
	if *s > 100 {
		b.failf("%s.memory.swappiness: %d is out of range; give 0 to 100", resources, *s)
		return
	}
	b.add("memory.swappiness", "memory", "memory.swappiness", decimal(*s))
}

// bytes checks a limit; nil and 0 are "not set".
func (b *builder) bytes(field string, p *int64) int64 {
	if p == nil {
		return 0
	}
	if *p < cgroupconv.Unlimited {
		b.failf("%s.%s: %d is not a size; give bytes, or -1 for no limit", resources, field, *p)
	}
	return *p
}

// limit is the text for a limit, Unlimited included.
func (b *builder) limit(n int64) string {
	if n < 0 {
		return b.pick("-1", "max")
	}
	return decimal(n)
}
