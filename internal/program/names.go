package program

import (
	"strconv"

	"github.com/hutch-project/hutch/internal/calls"
)

// CallName returns the name of the system call nr, or its number when no program of
// Hutch's uses it.
func CallName(nr uintptr) string {
	if c := calls.Of(uint32(nr)); c != nil {
		return c.Name
	}
	return "system call " + strconv.Itoa(int(nr))
}
