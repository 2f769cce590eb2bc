package stats

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hutch-project/hutch/internal/cpulist"
	"github.com/hutch-project/hutch/internal/host/cgroup"
)

// ticks is the kernel's unit of cpuacct.stat for user space, USER_HZ, which is
// 100 on all machines that Go runs on.
const ticks = 1_000_000_000 / 100

// blockIOTables names the tables of BlockIOStats: their key in JSON, and their
// files of CFQ and BFQ.
var blockIOTables = [...]struct{ key, file string }{
	{"ioServiceBytesRecursive", "io_service_bytes_recursive"},
	{"ioServicedRecursive", "io_serviced_recursive"},
	{"ioQueueRecursive", "io_queued_recursive"},
	{"ioServiceTimeRecursive", "io_service_time_recursive"},
	{"ioWaitTimeRecursive", "io_wait_time_recursive"},
	{"ioMergedRecursive", "io_merged_recursive"},
	{"ioTimeRecursive", "time_recursive"},
	{"sectorsRecursive", "sectors_recursive"},
}

// The two tables that all kernels have.
const (
	serviceBytes = 0
	serviced     = 1
)

// cpusetFlags are the files and JSON keys of CpusetStats.Flags.
var cpusetFlags = [...]string{
	"cpu_exclusive", "mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page",
	"memory_spread_slab", "memory_pressure", "sched_load_balance", "sched_relax_domain_level",
}

// readV1 reads the counters of a container's cgroups v1.
//
// Source: kernel cgroup-v1/{cpuacct,cpusets,memory,pids,blkio-controller,hugetlb}.rst.
func readV1(p cgroup.Paths) (*Stats, error) {
	stats := &Stats{}
	var first error
	in := func(controller string, read func(*reader)) {
		dir, ok := p.With(controller)
		if !ok || first != nil {
			return
		}
		r := &reader{dir: dir}
		read(r)
		first = r.err
	}
	in("cpuacct", func(r *reader) { r.cpuacct(&stats.CPU) })
	in("cpu", func(r *reader) {
		r.flat("cpu.stat", func(key string, n uint64) {
			switch key {
			case "nr_periods":
				stats.CPU.Periods = n
			case "nr_throttled":
				stats.CPU.ThrottledPeriods = n
			case "throttled_time":
				stats.CPU.ThrottledTime = n
			}
		})
	})
	in("cpuset", func(r *reader) { r.cpuset(&stats.Cpuset) })
	in("memory", func(r *reader) { r.memoryV1(&stats.Memory) })
	in("pids", func(r *reader) { r.pids(&stats.Pids) })
	in("blkio", func(r *reader) { r.blkio(&stats.BlockIO) })
	in("hugetlb", func(r *reader) {
		for _, size := range HugeSizes() {
			prefix := "hugetlb." + size
			if r.text(prefix+".rsvd.usage_in_bytes") != "" {
				prefix += ".rsvd"
			}
			stats.Hugetlb = append(stats.Hugetlb, HugetlbStats{size,
				r.number(prefix + ".usage_in_bytes"), r.number(prefix + ".max_usage_in_bytes"), r.number(prefix + ".failcnt")})
		}
	})
	slices.SortFunc(stats.Hugetlb, func(a, b HugetlbStats) int { return strings.Compare(a.Size, b.Size) })
	return stats, first
}

func (r *reader) cpuacct(c *CPUStats) {
	c.Total = r.number("cpuacct.usage")
	r.flat("cpuacct.stat", func(key string, n uint64) {
		switch key {
		case "user":
			c.User = n * ticks
		case "system":
			c.Kernel = n * ticks
		}
	})
	for word := range strings.FieldsSeq(r.text("cpuacct.usage_percpu")) {
		c.PerCPU = append(c.PerCPU, r.parse("cpuacct.usage_percpu", word))
	}
	for line := range strings.Lines(r.text("cpuacct.usage_all")) { // "cpu user system", then numbers
		f := strings.Fields(line)
		if len(f) == 3 && f[0] != "cpu" {
			c.PerCPUUser = append(c.PerCPUUser, r.parse("cpuacct.usage_all", f[1]))
			c.PerCPUKernel = append(c.PerCPUKernel, r.parse("cpuacct.usage_all", f[2]))
		}
	}
}

func (r *reader) cpuset(c *CpusetStats) {
	prefix := "cpuset."
	if r.text("cpuset.cpus") == "" {
		prefix = "" // mounted with "noprefix"
	}
	c.CPUs = numbersOf(r.text(prefix + "cpus"))
	c.Mems = numbersOf(r.text(prefix + "mems"))
	for i, name := range cpusetFlags {
		n, err := strconv.ParseInt(strings.TrimSpace(r.text(prefix+name)), 10, 64)
		if err == nil {
			c.Flags[i] = n
		}
	}
}

// numbersOf returns the numbers of a list as 0-2,4; what is no list has none.
func numbersOf(text string) []uint16 {
	ranges, err := cpulist.Parse(strings.TrimSpace(text), math.MaxUint16)
	if err != nil {
		return nil
	}
	var out []uint16
	for _, r := range ranges {
		for n := r.First; n <= r.Last; n++ {
			out = append(out, uint16(n))
		}
	}
	return out
}

func (r *reader) memoryV1(m *MemoryStats) {
	m.Raw = r.counters("memory.stat")
	for _, c := range m.Raw {
		if c.Name == "cache" {
			m.Cache = c.Value
		}
	}
	for _, k := range [...]struct {
		prefix string
		to     *MemoryEntry
	}{{"memory.", &m.Usage}, {"memory.memsw.", &m.Swap}, {"memory.kmem.", &m.Kernel}, {"memory.kmem.tcp.", &m.KernelTCP}} {
		*k.to = MemoryEntry{
			Limit: r.number(k.prefix + "limit_in_bytes"), Usage: r.number(k.prefix + "usage_in_bytes"),
			Max: r.number(k.prefix + "max_usage_in_bytes"), Failcnt: r.number(k.prefix + "failcnt"),
		}
	}
}

// blkio reads the tables of the first of the schedulers that has counted: BFQ and
// CFQ know more, throttling is always there.
func (r *reader) blkio(b *BlockIOStats) {
	for _, prefix := range [...]string{"blkio.bfq.", "blkio."} {
		for i, t := range blockIOTables {
			b.Tables[i] = r.table(prefix + t.file)
		}
		if b.Tables[serviced] != nil {
			return
		}
	}
	for _, suffix := range [...]string{"_recursive", ""} {
		b.Tables[serviced] = r.table("blkio.throttle.io_serviced" + suffix)
		b.Tables[serviceBytes] = r.table("blkio.throttle.io_service_bytes" + suffix)
		if b.Tables[serviced] != nil {
			return
		}
	}
}

// table reads lines "8:0 Read 12" and "8:0 12"; the sum of all, "Total 12", is
// left out.
func (r *reader) table(name string) []BlockIOEntry {
	var out []BlockIOEntry
	for line := range strings.Lines(r.text(name)) {
		f := strings.Fields(line)
		major, minor, ok := strings.Cut(line, ":")
		if !ok || len(f) < 2 {
			continue
		}
		minor, _, _ = strings.Cut(minor, " ")
		e := BlockIOEntry{Major: r.parse(name, major), Minor: r.parse(name, minor), Value: r.parse(name, f[len(f)-1])}
		if len(f) == 3 {
			e.Op = f[1]
		}
		out = append(out, e)
	}
	return out
}
