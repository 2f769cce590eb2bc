package cgroupconv

import "testing"

func TestCPUWeight(t *testing.T) {
	for _, c := range []struct{ shares, want uint64 }{
		{0, 0}, {1, 1}, {2, 1}, {3, 2}, {100, 17}, {512, 59}, {1024, 100}, {2048, 174},
		{8192, 532}, {262143, 10000}, {262144, 10000}, {1 << 62, 10000},
	} {
		if got := CPUWeight(c.shares); got != c.want {
			t.Errorf("CPUWeight(%d) = %d, want %d", c.shares, got, c.want)
		}
	}
	for s := uint64(2); s < MaxShares; s++ {
		if a, b := CPUWeight(s), CPUWeight(s+1); a > b || a < 1 || b > 10000 {
			t.Fatalf("CPUWeight(%d) = %d, CPUWeight(%d) = %d: want 1 <= first <= second <= 10000", s, a, s+1, b)
		}
	}
}

func TestIOWeight(t *testing.T) {
	for _, c := range []struct {
		weight uint16
		want   uint64
	}{{0, 0}, {5, 1}, {10, 1}, {500, 4950}, {1000, 10000}, {65535, 10000}} {
		if got := IOWeight(c.weight); got != c.want {
			t.Errorf("IOWeight(%d) = %d, want %d", c.weight, got, c.want)
		}
	}
}

func TestSwapMax(t *testing.T) {
	for _, c := range []struct {
		memory, both, want int64
		set, bad           bool
	}{
		{0, 0, Unlimited, false, false},
		{100, 0, Unlimited, false, false},
		{Unlimited, 0, Unlimited, true, false},
		{100, Unlimited, Unlimited, true, false},
		{Unlimited, 50, 50, true, false},
		{100, 100, 0, true, false},
		{100, 150, 50, true, false},
		{100, 99, 0, false, true},
		{0, 100, 0, false, true},
	} {
		swap, set, err := SwapMax(c.memory, c.both)
		if (err != nil) != c.bad || set != c.set || (set && swap != c.want) {
			t.Errorf("SwapMax(%d, %d) = %d, %v, %v; want %d, %v, error %v", c.memory, c.both, swap, set, err, c.want, c.set, c.bad)
		}
	}
}
