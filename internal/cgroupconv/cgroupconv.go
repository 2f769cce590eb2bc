// Package cgroupconv converts the values of cgroup v1, in which config.json speaks,
// to those of cgroup v2.
package cgroupconv

import (
	"errors"
	"math"
)

// The ranges of cpu.shares of v1; cgroup v2's cpu.weight has 1 to 10000.
const (
	MinShares = 2
	MaxShares = 262144
)

// CPUWeight returns CPU shares of cgroup v1, 2 to 262144 with the default 1024,
// as a weight of cgroup v2, 1 to 10000 with the default 100. 0 stands for "not
// set" in both; shares outside of their range count as the nearest inside.
//
// The three pairs minimum, default and maximum fall together on the curve
// 10^((l*l + 125*l)/612 - 7/34) with l = log2(shares), which all runtimes use
// since runc 1.3.2 and crun 1.23. The straight line of before gave 39 for the
// default of 1024, so that containers lost against what has the default weight.
func CPUWeight(shares uint64) uint64 {
	switch {
	case shares == 0:
		return 0
	case shares <= MinShares:
		return 1
	case shares >= MaxShares:
		return 10000
	}
	l := math.Log2(float64(shares))
	return uint64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34)))
}

// IOWeight converts a block IO weight of cgroup v1, 10 to 1000, to one of cgroup
// v2's io.weight, 1 to 10000, on a straight line. 0 stands for "not set".
func IOWeight(weight uint16) uint64 {
	if weight == 0 {
		return 0
	}
	return 1 + uint64(min(max(weight, 10), 1000)-10)*9999/990
}

// Unlimited is the limit in bytes, processes or microseconds that stands for none.
const Unlimited = -1

// SwapMax returns the limit of swap alone, as cgroup v2 has it, for the limits of
// memory and of memory with swap that config.json has. All are in bytes, 0 stands
// for "not set" (set is false then) and Unlimited for no limit.
//
// Source: runtime-spec config-linux.md "Memory": swap is "limit of memory+Swap
// usage". Unlimited memory with no word on swap frees both, as on v1.
func SwapMax(memory, memoryAndSwap int64) (swap int64, set bool, err error) {
	switch {
	case memoryAndSwap == 0:
		return Unlimited, memory == Unlimited, nil
	case memoryAndSwap == Unlimited || memory == Unlimited:
		return memoryAndSwap, true, nil
	case memory == 0:
		return 0, false, errors.New("cgroup v2 limits swap without memory, so that memory.limit is needed too")
	case memoryAndSwap < memory:
		return 0, false, errors.New("is the limit of memory and swap together: it cannot be below memory.limit")
	}
	return memoryAndSwap - memory, true, nil
}
