package seccomp

import (
	"slices"

	"golang.org/x/sys/unix"
)

// interval is a range of call numbers with one target; it ends where the next
// one starts.
type interval struct {
	start  uint32
	weight int // of the intervals up to and with this one
	target target
}

// hotWeight is how often a hot call is made compared to an interval.
const hotWeight = 24

// intervals collects the intervals of one audit architecture, in order.
type intervals []interval

// from is the target t of the numbers from start on.
func (l *intervals) from(start uint32, t target) {
	n := len(*l)
	if n > 0 && (*l)[n-1].start == start {
		n--
		*l = (*l)[:n]
	}
	if n == 0 || (*l)[n-1].target != t {
		*l = append(*l, interval{start: start, target: t})
	}
}

// weigh counts how often each interval is met: once, and hotWeight for each hot
// call in it.
func (l intervals) weigh(arches []arch) {
	for i := range l {
		l[i].weight = 1
	}
	for i := range arches {
		a := &arches[i]
		for h := range len(hotRows) / 2 {
			slot, ok := a.column.slot(word(hotRows, h))
			if !ok {
				continue
			}
			n := a.base + slotNumber(slot)
			at, found := slices.BinarySearchFunc(l, n, func(v interval, n uint32) int {
				switch {
				case v.start < n:
					return -1
				case v.start > n:
					return 1
				}
				return 0
			})
			if !found {
				at--
			}
			l[at].weight += hotWeight
		}
	}
	// As sums from the beginning on, by which search halves the weight and not the number.
	for i := 1; i < len(l); i++ {
		l[i].weight += l[i-1].weight
	}
}

// search emits the decision between the intervals low up to high.
func (a *assembler) search(l intervals, low, high int) target {
	switch {
	case high-low == 1:
		return l[low].target
	case high-low == 3 && l[low].target == l[low+2].target && l[low+1].start+1 == l[low+2].start:
		return a.jump(unix.BPF_JEQ, l[low+1].start, l[low+1].target, l[low].target)
	}
	mid := l.middle(low, high)
	right := a.search(l, mid, high)
	left := a.search(l, low, mid)
	return a.jump(unix.BPF_JGE, l[mid].start, right, left)
}

// middle returns where the weight of low up to high is halved best.
func (l intervals) middle(low, high int) int {
	before := 0
	if low > 0 {
		before = l[low-1].weight
	}
	total := before + l[high-1].weight
	// The first mid with at least half of the weight on its left.
	mid := low + 1
	for mid < high-1 && 2*l[mid-1].weight < total {
		mid++
	}
	if mid > low+1 && 2*l[mid-1].weight-total > total-2*l[mid-2].weight {
		mid--
	}
	return mid
}
