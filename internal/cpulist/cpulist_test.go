package cpulist

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	for list, want := range map[string][]Range{
		"":             nil,
		"0":            {{0, 0}},
		"0-3,7":        {{0, 3}, {7, 7}},
		"7, 1-2":       {{7, 7}, {1, 2}},
		"8191":         {{8191, 8191}},
		"0000-0001":    {{0, 1}},
		"5-5,5":        {{5, 5}, {5, 5}},
		"1000,0-8191 ": {{1000, 1000}, {0, 8191}},
	} {
		got, err := Parse(list, MaxCPU)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v; want %v", list, got, err, want)
		}
	}
	for list, want := range map[string]error{
		",": ErrFormat, "1,": ErrFormat, "-1": ErrFormat, "1-": ErrFormat, "1-2-3": ErrFormat, "+1": ErrFormat, "0x1": ErrFormat, "a": ErrFormat, " 1 - 2": ErrFormat,
		"0-31:2/16": ErrFormat, "8192": ErrTooHigh, "0-8192": ErrTooHigh, "99999999999999999999": ErrTooHigh, "3-1": ErrBackwards,
	} {
		if _, err := Parse(list, MaxCPU); err != want {
			t.Errorf("%q: %v, want %v", list, err, want)
		}
	}
}

func TestMasks(t *testing.T) {
	ranges := []Range{{0, 0}, {8, 9}, {63, 64}, {130, 140}}
	mask := Mask(ranges, 16)
	if got := binary.NativeEndian.Uint64(mask); got != 1<<63|3<<8|1 {
		t.Errorf("first word %x", got)
	}
	if got := binary.NativeEndian.Uint64(mask[8:]); got != 1 || len(mask) != 16 {
		t.Errorf("second word %x of %d bytes", got, len(mask))
	}
	if got, want := Bitmap([]Range{{0, 3}, {8, 8}}), []byte{0x0f, 1}; !bytes.Equal(got, want) {
		t.Errorf("bitmap %x, want %x", got, want)
	}
	if got := Bitmap(nil); len(got) != 0 {
		t.Errorf("bitmap of nothing: %x", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("0-3,7")
	f.Add("8191,,")
	f.Fuzz(func(t *testing.T, list string) {
		ranges, err := Parse(list, MaxCPU)
		if err != nil {
			return
		}
		for _, r := range ranges {
			if r.First < 0 || r.Last > MaxCPU || r.First > r.Last {
				t.Errorf("%q: %v", list, r)
			}
		}
		if len(Bitmap(ranges)) > MaxCPU/8+1 {
			t.Errorf("%q: a long bitmap", list)
		}
	})
}
