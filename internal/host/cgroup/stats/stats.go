// Package stats reads what a container has used: the counters of its cgroups, in the
// shape that engines read from "events --stats", and the times that the OOM killer came.
//
// Source: kernel admin-guide/cgroup-v2.rst and admin-guide/cgroup-v1/; runc's events.
package stats

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/sys"
)

// Stats is what a container has used, in the shape of runc's "events --stats":
// that of cgroup v1, into which v2's counters are fitted. Times are in
// nanoseconds, sizes in bytes; what the kernel does not count is zero. A limit of
// none is what the file has on v1 and 2^64-1 on v2, for processes 0.
type Stats struct {
	CPU     CPUStats
	Cpuset  CpusetStats
	Memory  MemoryStats
	Pids    PidsStats
	BlockIO BlockIOStats
	Hugetlb []HugetlbStats // in the order of the sizes' names
}

// CPUStats is processor time. The lists have a value a processor, on v1.
type CPUStats struct {
	Total, Kernel, User                      uint64
	PerCPU, PerCPUKernel, PerCPUUser         []uint64
	Periods, ThrottledPeriods, ThrottledTime uint64
	PSI                                      *PSI
}

// CpusetStats is the container's cpuset, on v1.
type CpusetStats struct {
	CPUs, Mems []uint16
	Flags      [9]int64 // in the order of cpusetFlags
}

// MemoryStats is memory. Swap is memory and swap together.
type MemoryStats struct {
	Cache                          uint64
	Usage, Swap, Kernel, KernelTCP MemoryEntry
	Raw                            []Counter // memory.stat, in the order of the names
	PSI                            *PSI
}

// MemoryEntry is one kind of memory.
type MemoryEntry struct{ Limit, Usage, Max, Failcnt uint64 }

// Counter is a named number.
type Counter struct {
	Name  string
	Value uint64
}

// PidsStats is the number of tasks.
type PidsStats struct{ Current, Limit uint64 }

// BlockIOStats are the tables of block IO, in the order of blockIOTables.
type BlockIOStats struct {
	Tables [8][]BlockIOEntry
	PSI    *PSI
}

// BlockIOEntry is a line of a table: Op is "Read", "Write" and others, or empty.
type BlockIOEntry struct {
	Major, Minor uint64
	Op           string
	Value        uint64
}

// HugetlbStats is huge pages of one size, "2MB".
type HugetlbStats struct {
	Size                string
	Usage, Max, Failcnt uint64
}

// PSI is pressure stall information: shares of time in percent and a sum in
// microseconds.
//
// Source: kernel accounting/psi.rst.
type PSI struct{ Some, Full PSIEntry }

// PSIEntry is one line of it. The shares are the kernel's text, "0.12".
type PSIEntry struct {
	Avg10, Avg60, Avg300 string
	Total                uint64
}

// Read returns what the container of the record p has used. What is gone, or was never
// there, counts as nothing.
func Read(p cgroup.Paths) (*Stats, error) {
	switch p.Mode() {
	case cgroup.None:
		return &Stats{}, nil
	case cgroup.V2:
		return readV2(p[""])
	}
	return readV1(p)
}

// reader reads the files of a cgroup and keeps the first error. A file that does
// not exist is empty and no error: controllers may be missing and kernels older.
type reader struct {
	dir string
	err error
}

func (r *reader) text(name string) string {
	if r.dir == "" || r.err != nil {
		return ""
	}
	text, err := cgroupfs.ReadFile(unix.AT_FDCWD, r.dir+"/"+name)
	// EOPNOTSUPP: pressure files with PSI off at boot, and threaded cgroups.
	if err != nil && !cgroupfs.IsGone(err) && !errors.Is(err, unix.EOPNOTSUPP) {
		r.err = err
	}
	return text
}

func (r *reader) number(name string) uint64 { return r.parse(name, strings.TrimSpace(r.text(name))) }

// parse reads a number, "max" for the largest and an empty text for 0.
func (r *reader) parse(name, text string) uint64 {
	switch text {
	case "":
		return 0
	case "max":
		return math.MaxUint64
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		if i, err := strconv.ParseInt(text, 10, 64); err == nil && i < 0 {
			return 0 // counters that the kernel lets go below zero for a moment
		}
		if r.err == nil {
			r.err = fmt.Errorf("read %s/%s: %q is no number", r.dir, name, text)
		}
	}
	return n
}

// flat calls f for each line "NAME NUMBER".
func (r *reader) flat(name string, f func(key string, n uint64)) {
	for line := range strings.Lines(r.text(name)) {
		if key, n, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			f(key, r.parse(name, n))
		}
	}
}

// field returns the number of one line of a flat text, 0 when there is none.
func field(text, key string) uint64 {
	for line := range strings.Lines(text) {
		if k, v, _ := strings.Cut(strings.TrimSpace(line), " "); k == key {
			n, _ := strconv.ParseUint(v, 10, 64)
			return n
		}
	}
	return 0
}

// psi reads a pressure file, nil when there is none.
func (r *reader) psi(name string) *PSI {
	text := r.text(name)
	if text == "" {
		return nil
	}
	p := &PSI{}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		e := &p.Some
		if f[0] == "full" {
			e = &p.Full
		}
		for _, pair := range f[1:] {
			switch key, v, _ := strings.Cut(pair, "="); key {
			case "avg10":
				e.Avg10 = v
			case "avg60":
				e.Avg60 = v
			case "avg300":
				e.Avg300 = v
			case "total":
				e.Total = r.parse(name, v)
			}
		}
	}
	return p
}

// HugeSizes returns the sizes of huge pages that the kernel has, from their directory in sysfs.
func HugeSizes() []string {
	fd, err := sys.Open(unix.AT_FDCWD, "/sys/kernel/mm/hugepages", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	dirs, err := cgroupfs.Subdirs(fd)
	if err != nil {
		return nil
	}
	var sizes []string
	for _, d := range dirs {
		kb := strings.TrimSuffix(strings.TrimPrefix(d, "hugepages-"), "kB")
		if n, err := strconv.ParseUint(kb, 10, 64); err == nil {
			sizes = append(sizes, hugeSize(n))
		}
	}
	return sizes
}

// hugeSize returns the name that the hugetlb controller uses for a size in KiB.
//
// Source: kernel mm/hugetlb_cgroup.c, mem_fmt.
func hugeSize(kb uint64) string {
	switch {
	case kb >= 1<<20:
		return strconv.FormatUint(kb>>20, 10) + "GB"
	case kb >= 1<<10:
		return strconv.FormatUint(kb>>10, 10) + "MB"
	}
	return strconv.FormatUint(kb, 10) + "KB"
}
