package stats

import (
	"strconv"

	"github.com/hutch-project/hutch/internal/jsontext"
)

// AppendJSON appends the "data" object of an event of type "stats". It has the
// keys of runc's and leaves out what runc leaves out when it is zero. rdt is the
// object for intel_rdt, "{}" when it is empty.
func (s *Stats) AppendJSON(b []byte, rdt string) []byte {
	if rdt == "" {
		rdt = "{}"
	}
	w := &object{b: b}
	w.open("")
	s.CPU.json(w)
	s.Cpuset.json(w)
	s.Memory.json(w)
	w.open("pids")
	w.some("current", s.Pids.Current)
	w.some("limit", s.Pids.Limit)
	w.close()
	w.open("blkio")
	for i, t := range s.BlockIO.Tables {
		if len(t) > 0 {
			w.table(blockIOTables[i].key, t)
		}
	}
	w.psi(s.BlockIO.PSI)
	w.close()
	w.open("hugetlb")
	for _, h := range s.Hugetlb {
		w.open(h.Size)
		w.some("usage", h.Usage)
		w.some("max", h.Max)
		w.number("failcnt", h.Failcnt)
		w.close()
	}
	w.close()
	w.raw("intel_rdt", rdt)
	w.raw("network_interfaces", "null")
	w.close()
	return w.b
}

func (c *CPUStats) json(w *object) {
	w.open("cpu")
	w.open("usage")
	w.some("total", c.Total)
	numbers(w, "percpu", c.PerCPU)
	numbers(w, "percpu_kernel", c.PerCPUKernel)
	numbers(w, "percpu_user", c.PerCPUUser)
	w.number("kernel", c.Kernel)
	w.number("user", c.User)
	w.close()
	w.open("throttling")
	w.some("periods", c.Periods)
	w.some("throttledPeriods", c.ThrottledPeriods)
	w.some("throttledTime", c.ThrottledTime)
	w.close()
	w.psi(c.PSI)
	w.close()
}

func (c *CpusetStats) json(w *object) {
	w.open("cpuset")
	numbers(w, "cpus", c.CPUs)
	numbers(w, "mems", c.Mems)
	for i, name := range cpusetFlags {
		w.key(name)
		w.b = strconv.AppendInt(w.b, c.Flags[i], 10)
	}
	w.close()
}

func (m *MemoryStats) json(w *object) {
	w.open("memory")
	w.some("cache", m.Cache)
	for _, k := range [...]struct {
		name string
		e    *MemoryEntry
	}{{"usage", &m.Usage}, {"swap", &m.Swap}, {"kernel", &m.Kernel}, {"kernelTCP", &m.KernelTCP}} {
		w.open(k.name)
		w.number("limit", k.e.Limit)
		w.some("usage", k.e.Usage)
		w.some("max", k.e.Max)
		w.number("failcnt", k.e.Failcnt)
		w.close()
	}
	if len(m.Raw) > 0 {
		w.open("raw")
		for _, c := range m.Raw {
			w.number(c.Name, c.Value)
		}
		w.close()
	}
	w.psi(m.PSI)
	w.close()
}

// object appends objects and their members.
type object struct {
	b     []byte
	begun bool // the innermost object has a member
}

func (w *object) key(name string) {
	if w.begun {
		w.b = append(w.b, ',')
	}
	w.begun = true
	w.b = append(jsontext.AppendString(w.b, name), ':')
}

// open begins an object, the outermost one without a name.
func (w *object) open(name string) {
	if name != "" {
		w.key(name)
	}
	w.b = append(w.b, '{')
	w.begun = false
}

func (w *object) close() {
	w.b = append(w.b, '}')
	w.begun = true
}

func (w *object) raw(name, text string) {
	w.key(name)
	w.b = append(w.b, text...)
}

func (w *object) number(name string, n uint64) {
	w.key(name)
	w.b = strconv.AppendUint(w.b, n, 10)
}

// some leaves a zero out.
func (w *object) some(name string, n uint64) {
	if n != 0 {
		w.number(name, n)
	}
}

func numbers[T uint16 | uint64](w *object, name string, list []T) {
	if len(list) == 0 {
		return
	}
	w.key(name)
	for i, n := range list {
		w.b = append(w.b, ",["[btoi(i == 0)])
		w.b = strconv.AppendUint(w.b, uint64(n), 10)
	}
	w.b = append(w.b, ']')
}

func (w *object) table(name string, list []BlockIOEntry) {
	w.key(name)
	for i, e := range list {
		w.b = append(w.b, ",["[btoi(i == 0)])
		w.open("")
		w.some("major", e.Major)
		w.some("minor", e.Minor)
		if e.Op != "" {
			w.key("op")
			w.b = jsontext.AppendString(w.b, e.Op)
		}
		w.some("value", e.Value)
		w.close()
	}
	w.b = append(w.b, ']')
}

func (w *object) psi(p *PSI) {
	if p == nil {
		return
	}
	w.open("psi")
	for _, k := range [...]struct {
		name string
		e    *PSIEntry
	}{{"some", &p.Some}, {"full", &p.Full}} {
		w.open(k.name)
		w.raw("avg10", share(k.e.Avg10))
		w.raw("avg60", share(k.e.Avg60))
		w.raw("avg300", share(k.e.Avg300))
		w.number("total", k.e.Total)
		w.close()
	}
	w.close()
}

// share returns the kernel's "0.10" in the form of a JSON number; a text that is none is 0.
func share(s string) string {
	if f, err := strconv.ParseFloat(s, 64); err == nil && f >= 0 && f <= 100 {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return "0"
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
