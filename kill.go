package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"hutch/libcontainer"
)

func killCommand() *cli.Command {
	return &cli.Command{
		Name:      "kill",
		Usage:     "send a signal (default TERM) to the init of a container",
		ArgsUsage: "ID [SIGNAL]",
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "send it to all processes of the container"}},
		Action: func(c *cli.Context) error {
			args, err := reparse(c)
			if err != nil {
				return err
			}
			if len(args) < 1 || len(args) > 2 {
				return fmt.Errorf("kill: requires the container id and at most a signal; got %d arguments", len(args))
			}
			sig := unix.SIGTERM
			if len(args) == 2 {
				if sig, err = parseSignal(args[1]); err != nil {
					return err
				}
			}
			r, err := newRuntime(c)
			if err != nil {
				return err
			}
			return r.Kill(args[0], sig, c.Bool("all"))
		},
	}
}

// maxSignal is the highest signal of Linux on most architectures.
const maxSignal = 64

// parseSignal takes a number, a name with or without SIG in any case, and
// RTMIN+n or RTMAX-n.
//
// Source: signal(7).
func parseSignal(s string) (libcontainer.Signal, error) {
	if n, err := strconv.Atoi(s); err == nil {
		if n < 0 || n > maxSignal {
			return 0, fmt.Errorf("unknown signal %q: numbers go from 0 to %d", s, maxSignal)
		}
		return libcontainer.Signal(n), nil
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
			return libcontainer.Signal(sig), nil
		}
	}
	return 0, fmt.Errorf("unknown signal %q: give a name as TERM or SIGTERM, or a number", s)
}
