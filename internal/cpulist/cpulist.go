// Package cpulist reads lists of CPUs and of memory nodes, as 0-3,7.
//
// Source: cpuset(7), "List format". Strides (0-31:2/16) are not taken: neither runc nor
// the files of cgroups have them.
package cpulist

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
)

// The highest numbers that a kernel can be built for.
//
// Source: arch/x86/Kconfig, NR_CPUS with MAXSMP; NODES_SHIFT.
const (
	MaxCPU  = 8191
	MaxNode = 1023
)

// What can be wrong with a list.
var (
	ErrFormat    = errors.New("is not a list of numbers and ranges as in 0-3,7")
	ErrTooHigh   = errors.New("has a number that is too high")
	ErrBackwards = errors.New("has a range that runs backwards")
)

// Range is a range of numbers, both of them in it.
type Range struct{ First, Last int }

// Parse returns the ranges of a list in its order, none for the empty list. No number may
// be above highest. The error is one of ErrFormat, ErrTooHigh and ErrBackwards.
func Parse(list string, highest int) ([]Range, error) {
	if list == "" {
		return nil, nil
	}
	ranges := make([]Range, 0, strings.Count(list, ",")+1)
	if err := walk(list, highest, func(r Range) { ranges = append(ranges, r) }); err != nil {
		return nil, err
	}
	return ranges, nil
}

// Check returns the error of Parse, and allocates nothing.
func Check(list string, highest int) error {
	if list == "" {
		return nil
	}
	return walk(list, highest, func(Range) {})
}

// walk calls add for each range of a list that is not empty.
func walk(list string, highest int, add func(Range)) error {
	for more := true; more; {
		var part string
		part, list, more = strings.Cut(list, ",")
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			last = first
		}
		from, err := number(first, highest)
		if err != nil {
			return err
		}
		to, err := number(last, highest)
		if err != nil {
			return err
		}
		if from > to {
			return ErrBackwards
		}
		add(Range{from, to})
	}
	return nil
}

func number(text string, highest int) (int, error) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, ErrFormat
	}
	n, err := strconv.Atoi(text)
	if err != nil || n > highest {
		return 0, ErrTooHigh
	}
	return n, nil
}

// Mask returns a mask of size bytes, a multiple of 8, with the bits of the ranges, in
// which a range above it has no place: the machine's words of 64 bits, as system calls
// take it. That is right for 32-bit architectures, too: those of Go are little-endian.
//
// Source: sched_setaffinity(2), set_mempolicy(2).
func Mask(ranges []Range, size int) []byte {
	mask := make([]byte, size)
	for i := 0; i+8 <= size; i += 8 {
		binary.NativeEndian.PutUint64(mask[i:], word(ranges, i*8))
	}
	return mask
}

// Bitmap returns a mask whose first byte has the numbers 0 to 7, as short as the highest
// number allows.
func Bitmap(ranges []Range) []byte {
	highest := -1
	for _, r := range ranges {
		highest = max(highest, r.Last)
	}
	mask := make([]byte, (highest+8)/8)
	for _, r := range ranges {
		for n := r.First; n <= r.Last; n++ {
			mask[n/8] |= 1 << (n % 8)
		}
	}
	return mask
}

// word returns the bits of the 64 numbers from base on.
func word(ranges []Range, base int) (bits uint64) {
	for _, r := range ranges {
		for n := max(r.First, base); n <= min(r.Last, base+63); n++ {
			bits |= 1 << (n - base)
		}
	}
	return bits
}
