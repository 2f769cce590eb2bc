package process

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// maxCPUs is how many processors a mask is for, the most that Linux can have.
const maxCPUs = 8192

// ResetAffinity emits the permission to run on all processors of the cgroup, so
// that an engine that is pinned does not pin its containers.
//
// Source: sched_setaffinity(2).
func ResetAffinity(b *program.Builder) {
	b = b.Element(program.T("process")).Doing(program.T("run on all processors"))
	mask := make([]byte, maxCPUs/8)
	for i := range mask {
		mask[i] = 0xff
	}
	affinity(b, mask).Ignore()
}

// InitialAffinity emits process.execCPUAffinity.initial, for a process that is
// added to a container, before it is in the container's cgroup. Without the
// property it emits nothing.
//
// Source: runtime-spec config.md "Linux Process".
func InitialAffinity(b *program.Builder, p *specs.Process) {
	if p.ExecCPUAffinity != nil {
		pin(b, "initial", p.ExecCPUAffinity.Initial)
	}
}

// FinalAffinity emits process.execCPUAffinity.final, once the process is in the
// container's cgroup. "If omitted or empty, runtime SHOULD NOT change process' CPU
// affinity": it says whether it emitted the mask.
func FinalAffinity(b *program.Builder, p *specs.Process) bool {
	return p.ExecCPUAffinity != nil && pin(b, "final", p.ExecCPUAffinity.Final)
}

func pin(b *program.Builder, property, list string) bool {
	if list == "" {
		return false
	}
	b = b.Element(program.T("process.execCPUAffinity.%s", property)).Doing(program.T("run on the processors %s", list))
	mask, err := ParseList(list, maxCPUs)
	if err != nil {
		b.Fault(err)
		return false
	}
	affinity(b, mask)
	return true
}

func affinity(b *program.Builder, mask []byte) program.Call {
	return call.SchedSetaffinity(b, mask)
}

// ParseList parses a list of numbers and ranges as 0-3,7 into a mask of limit
// bits, a multiple of 64, in words of the machine as the kernel takes them: it
// has no order of bytes that is the same on all architectures. The empty list is
// the empty mask.
//
// Source: cpuset(7), "List format".
func ParseList(s string, limit int) ([]byte, error) {
	// Words of 64 bits are right for 32-bit architectures, too: those of Go
	// are little-endian.
	words := make([]uint64, limit/64)
	for part := range strings.SplitSeq(s, ",") {
		if s == "" {
			break
		}
		lo, hi, isRange := strings.Cut(strings.TrimSpace(part), "-")
		first, err := strconv.ParseUint(lo, 10, 16)
		last := first
		if err == nil && isRange {
			last, err = strconv.ParseUint(hi, 10, 16)
		}
		if err != nil || last < first || last >= uint64(limit) {
			return nil, fmt.Errorf("%q in %q is no number or range from 0 to %d", part, s, limit-1)
		}
		for ; first <= last; first++ {
			words[first/64] |= 1 << (first % 64)
		}
	}
	mask := make([]byte, 0, limit/8)
	for _, w := range words {
		mask = binary.NativeEndian.AppendUint64(mask, w)
	}
	return mask, nil
}
