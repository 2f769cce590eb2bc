package systemd

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/cpulist"
	"github.com/hutch-project/hutch/internal/dbus"
)

// unified returns systemd the files of cgroup v2 that it would write itself. They
// come last, as they have the last word in the cgroup's files.
//
// Source: the choice of files is runc's (docs/systemd.md).
func (b *builder) unified(values map[string]string) {
	for _, f := range [...]struct{ file, property string }{
		{"memory.high", "MemoryHigh"},
		{"memory.low", "MemoryLow"},
		{"memory.min", "MemoryMin"},
		{"memory.max", "MemoryMax"},
		{"memory.swap.max", "MemorySwapMax"},
	} {
		if n, ok := b.number(values, f.file); ok {
			b.set(f.property, limit(n))
		}
	}
	if n, ok := b.number(values, "pids.max"); ok {
		b.tasks(n)
	}
	if n, ok := b.number(values, "cpu.weight"); ok {
		b.set("CPUWeight", limit(n))
	}
	if strings.TrimSpace(values["cpu.idle"]) == "1" {
		b.idle() // after the weight: the kernel refuses that of an idle cgroup
	}
	if text, ok := values["cpu.max"]; ok {
		b.cpuMax(text)
	}
	b.cpuset(field("cpuset.cpus"), "AllowedCPUs", values["cpuset.cpus"], cpulist.MaxCPU)
	b.cpuset(field("cpuset.mems"), "AllowedMemoryNodes", values["cpuset.mems"], cpulist.MaxNode)
}

func field(file string) string { return "unified[" + file + "]" }

// number reads a file of one number, -1 for "max".
func (b *builder) number(m map[string]string, file string) (int64, bool) {
	text, ok := m[file]
	text = strings.TrimSpace(text)
	if !ok || text == "max" {
		return -1, ok
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		b.fail(field(file), fmt.Errorf("%q: give a number, or max", text))
		return 0, false
	}
	return int64(n), true
}

// cpuMax reads "QUOTA [PERIOD]" with "max" for no quota.
func (b *builder) cpuMax(text string) {
	part := strings.Fields(text)
	ok := len(part) == 1 || len(part) == 2
	quota, period := int64(-1), uint64(0)
	var err error
	if ok && part[0] != "max" {
		quota, err = strconv.ParseInt(part[0], 10, 64)
		ok = err == nil && quota > 0
	}
	if ok && len(part) == 2 {
		period, err = strconv.ParseUint(part[1], 10, 64)
		ok = err == nil && period > 0
	}
	if !ok {
		b.fail(field("cpu.max"), fmt.Errorf("%q: give QUOTA or QUOTA PERIOD in microseconds, with max for no quota", text))
		return
	}
	b.quota(quota, period)
}

// OOMPolicy reports whether the OOM killer takes all processes of the scope or one,
// when r has it as unified["memory.oom.group"]. It is for StartScope alone: systemd
// does not change it in a unit that runs.
//
// Source: systemd.scope(5), OOMPolicy.
func OOMPolicy(r *specs.LinuxResources, version int) []dbus.Property {
	if r == nil || version < versionOOMPolicy {
		return nil
	}
	switch strings.TrimSpace(r.Unified["memory.oom.group"]) {
	case "0":
		return []dbus.Property{{Name: "OOMPolicy", Value: dbus.String("continue")}}
	case "1":
		return []dbus.Property{{Name: "OOMPolicy", Value: dbus.String("kill")}}
	}
	return nil
}
