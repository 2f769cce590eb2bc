package life

import (
	"fmt"

	"github.com/hutch-project/hutch/internal/inherited"
)

// maxPreserved bounds the number of descriptors that can be asked for: it is what a
// process can have open at most, unless fs.nr_open is raised.
const maxPreserved = 1 << 20

// preserved checks the numbers of descriptors that are to be handed on, listen of
// socket activation and then preserve others. It returns the latter without those
// at the end that the caller was not given itself: their numbers are the runtime's
// own to use.
func preserved(preserve, listen int) (int, error) {
	switch {
	case preserve < 0 || preserve > maxPreserved:
		return 0, fmt.Errorf("--preserve-fds %d: is not a number from 0 to %d; give the number of descriptors, from %d on, to hand on",
			preserve, maxPreserved, inherited.First+listen)
	case listen < 0 || listen > maxPreserved:
		return 0, fmt.Errorf("LISTEN_FDS=%d: is not a number from 0 to %d", listen, maxPreserved)
	}
	for i := range listen {
		if fd := inherited.First + i; !inherited.Is(fd) {
			return 0, fmt.Errorf("LISTEN_FDS=%d: descriptor %d was not handed over; unset it, or start the runtime with all of them", listen, fd)
		}
	}
	if preserve == 0 {
		return 0, nil
	}
	last, err := inherited.Last(listen + preserve)
	if err != nil {
		return 0, fmt.Errorf("--preserve-fds: %w", err)
	}
	return max(last+1-inherited.First-listen, 0), nil
}
