package trace

import (
	"cmp"
	"slices"

	"github.com/hutch-project/hutch/internal/program/spawn"
)

// inOrder sorts a copy of stamps by time, and by place where the clock did not
// move: a jump back leaves the program's order other than that of time.
func inOrder(stamps []spawn.Stamp) []spawn.Stamp {
	out := slices.Clone(stamps)
	slices.SortFunc(out, func(a, b spawn.Stamp) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.PC, b.PC))
	})
	return out
}
