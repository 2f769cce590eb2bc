package hook

import (
	"os"
	"os/signal"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sigaction"
)

// starting keeps the signals of two hooks that start at once apart.
var starting sync.Mutex

// unignore lets a process that is made next have the default effect of the signals
// that this one ignores, until again is called: what is ignored stays so over execve,
// what is caught does not. So they are caught meanwhile, and dropped. For those that
// os/signal leaves alone, which are a C library's, there is no handler to be had.
//
// Source: signal(7), "Signal dispositions".
func unignore(ignored []unix.Signal) (again func()) {
	if len(ignored) == 0 {
		return func() {}
	}
	starting.Lock()
	// One that is passed on to the container is caught by now, past os/signal.
	ignored = slices.DeleteFunc(slices.Clone(ignored), func(s unix.Signal) bool { return !sigaction.Ignored(s) })
	list := make([]os.Signal, 0, len(ignored))
	for _, s := range ignored {
		if sigaction.OfCLibrary(s) {
			sigaction.SetIgnored(s, false)
		} else {
			list = append(list, s)
		}
	}
	dropped := make(chan os.Signal, 1)
	if len(list) > 0 { // none is all
		signal.Notify(dropped, list...)
	}
	return func() {
		if len(list) > 0 {
			signal.Stop(dropped)
			signal.Ignore(list...)
		}
		for _, s := range ignored {
			if sigaction.OfCLibrary(s) {
				sigaction.SetIgnored(s, true)
			}
		}
		starting.Unlock()
	}
}
