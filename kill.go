package main

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/life"
)

var killCommand = command{
	name:    "kill",
	usage:   "send a signal (default TERM) to the init of a container",
	words:   "ID [SIGNAL]",
	options: []option{{name: "all", alias: "a", kind: boolean, usage: "send it to all processes of the container"}},
	do: func(f flags) error {
		words, err := f.Words()
		if err != nil {
			return err
		}
		if len(words) < 1 || len(words) > 2 {
			return fmt.Errorf("kill: requires the container id and at most a signal; got %d arguments", len(words))
		}
		sig := unix.SIGTERM
		if len(words) == 2 {
			if sig, err = parseSignal(words[1]); err != nil {
				return err
			}
		}
		r, err := newRuntime(f)
		if err != nil {
			return err
		}
		return r.Kill(words[0], sig, f.Bool("all"))
	},
}

// maxSignal is the highest signal of Linux on most architectures.
const maxSignal = 64

// parseSignal takes a number, a name with or without SIG in any case, and
// RTMIN+n or RTMAX-n.
//
// Source: signal(7).
func parseSignal(s string) (life.Signal, error) {
	if n, err := strconv.Atoi(s); err == nil {
		if n < 0 || n > maxSignal {
			return 0, fmt.Errorf("unknown signal %q: numbers go from 0 to %d", s, maxSignal)
		}
		return life.Signal(n), nil
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if sig := unix.SignalNum("SIG" + name); sig != 0 {
		return sig, nil
	}
	for prefix, base := range map[string]int{"RTMIN": 34, "RTMAX": 64} {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		n := 0
		if rest != "" {
			var err error
			if n, err = strconv.Atoi(rest); err != nil {
				break
			}
		}
		if sig := base + n; sig >= 34 && sig <= maxSignal {
			return life.Signal(sig), nil
		}
	}
	return 0, fmt.Errorf("unknown signal %q: give a name as TERM or SIGTERM, or a number", s)
}
