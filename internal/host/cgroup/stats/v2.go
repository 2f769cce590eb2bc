package stats

import (
	"math"
	"slices"
	"strings"

	"github.com/hutch-project/hutch/internal/cgroupfs"
)

// readV2 reads the counters of a cgroup v2.
//
// Source: cgroup-v2.rst, "Controllers".
func readV2(dir string) (*Stats, error) {
	r := &reader{dir: dir}
	if !cgroupfs.Exists(dir) {
		return &Stats{}, nil
	}
	stats := &Stats{}
	r.flat("cpu.stat", func(key string, n uint64) {
		const ns = 1000 // the file has microseconds
		switch key {
		case "usage_usec":
			stats.CPU.Total = n * ns
		case "user_usec":
			stats.CPU.User = n * ns
		case "system_usec":
			stats.CPU.Kernel = n * ns
		case "nr_periods":
			stats.CPU.Periods = n
		case "nr_throttled":
			stats.CPU.ThrottledPeriods = n
		case "throttled_usec":
			stats.CPU.ThrottledTime = n * ns
		}
	})
	stats.CPU.PSI = r.psi("cpu.pressure")
	r.memoryV2(&stats.Memory)
	stats.Memory.PSI = r.psi("memory.pressure")
	r.pids(&stats.Pids)
	r.ioV2(&stats.BlockIO)
	stats.BlockIO.PSI = r.psi("io.pressure")
	for _, size := range HugeSizes() {
		prefix := "hugetlb." + size
		if r.text(prefix+".max") == "" {
			continue
		}
		h := HugetlbStats{Size: size, Usage: r.number(prefix + ".rsvd.current"), Failcnt: field(r.text(prefix+".events"), "max")}
		if r.text(prefix+".rsvd.current") == "" {
			h.Usage = r.number(prefix + ".current")
		}
		stats.Hugetlb = append(stats.Hugetlb, h)
	}
	slices.SortFunc(stats.Hugetlb, func(a, b HugetlbStats) int { return strings.Compare(a.Size, b.Size) })
	return stats, r.err
}

// memoryV2 fits memory into the shape of v1, where swap counts memory too.
func (r *reader) memoryV2(mem *MemoryStats) {
	mem.Raw = r.counters("memory.stat")
	for _, c := range mem.Raw {
		if c.Name == "file" {
			mem.Cache = c.Value
		}
	}
	if len(mem.Raw) == 0 {
		return
	}
	mem.Usage = MemoryEntry{
		Limit: r.number("memory.max"), Usage: r.number("memory.current"), Max: r.number("memory.peak"),
	}
	mem.Swap = MemoryEntry{
		Limit: r.number("memory.swap.max"), Usage: r.number("memory.swap.current") + mem.Usage.Usage,
	}
	if mem.Swap.Limit != math.MaxUint64 {
		mem.Swap.Limit += mem.Usage.Limit
		if mem.Usage.Limit == math.MaxUint64 {
			mem.Swap.Limit = math.MaxUint64
		}
	}
}

// counters reads a flat file in the order of its names.
func (r *reader) counters(name string) []Counter {
	var out []Counter
	r.flat(name, func(key string, n uint64) { out = append(out, Counter{key, n}) })
	slices.SortFunc(out, func(a, b Counter) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// pids reads the pids controller, the same on v1 and v2. No limit is 0.
func (r *reader) pids(p *PidsStats) {
	p.Current = r.number("pids.current")
	if p.Limit = r.number("pids.max"); p.Limit == math.MaxUint64 {
		p.Limit = 0
	}
	if r.text("pids.max") == "" { // without the controller
		p.Current = uint64(strings.Count(r.text("cgroup.procs"), "\n"))
	}
}

// ioV2 reads io.stat: "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6".
func (r *reader) ioV2(blkio *BlockIOStats) {
	for line := range strings.Lines(r.text("io.stat")) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		major, minor, ok := strings.Cut(f[0], ":")
		if !ok {
			continue
		}
		for _, pair := range f[1:] {
			key, v, _ := strings.Cut(pair, "=")
			at, op := 0, ""
			switch key {
			case "rbytes":
				at, op = serviceBytes, "Read"
			case "wbytes":
				at, op = serviceBytes, "Write"
			case "rios":
				at, op = serviced, "Read"
			case "wios":
				at, op = serviced, "Write"
			default:
				continue
			}
			blkio.Tables[at] = append(blkio.Tables[at], BlockIOEntry{
				r.parse("io.stat", major), r.parse("io.stat", minor), op, r.parse("io.stat", v),
			})
		}
	}
}
