package trace

import (
	"cmp"
	"slices"

	"github.com/hutch-project/hutch/internal/program"
)

// inOrder sorts a copy of stamps by time, and by place where the clock did not
// move: a jump back leaves the program's order other than that of time.
func inOrder(stamps []program.Stamp) []program.Stamp {
	out := slices.Clone(stamps)
	slices.SortFunc(out, func(a, b program.Stamp) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.PC, b.PC))
	})
	return out
}
