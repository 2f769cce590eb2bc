package main

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/life"
	"github.com/hutch-project/hutch/internal/nearest"
	"github.com/hutch-project/hutch/internal/sigaction"
)

var killCommand = cli.Command{
	Name:      "kill",
	Usage:     "send a signal (default TERM) to the init of a container",
	Arguments: "ID [SIGNAL]", Min: 1, Max: 2,
	Wants: "1 or 2 arguments, the container id and a signal",
	Words: []cli.Word{cli.ID, cli.Signal}, States: []string{"created", "running", "paused"},
	Flags: []cli.Flag{
		{Name: "all", Alias: "a", Kind: cli.Bool, Usage: "send it to all processes of the container"},
		{Name: "regex", Alias: "r", Kind: cli.Bool, Usage: regexUsage},
	},
	Help: "Sends a signal, by name with or without SIG, or by number, to the init of a container. The " +
		"first process of a pid namespace gets only signals that it handles, apart from KILL and STOP. " +
		"HUP, INT, QUIT and TERM end a container that has not been started. KILL reaches all " +
		"processes of a container without a pid namespace of its own. With --regex, what fails for one " +
		"container is warned of.",
	Examples: []cli.Example{
		{Line: "hutch kill web1", Does: "ask its process to end"},
		{Line: "hutch kill --all web1 KILL", Does: "end all its processes"},
	},
	Do: kill,
}

func kill(line *cli.Line) error {
	sig, err := unix.SIGTERM, error(nil)
	if len(line.Words) == 2 {
		if sig, err = parseSignal(line.Words[1]); err != nil {
			return err
		}
	}
	r, err := newRuntime(line)
	if err != nil {
		return err
	}
	send := func(id string) error { return r.Kill(id, sig, line.Bool("all")) }
	if line.Bool("regex") {
		return eachMatch(line, r, send)
	}
	return send(line.Words[0])
}

// firstRealtime is SIGRTMIN as glibc counts: it keeps 32 and 33.
const firstRealtime = 34

// parseSignal takes a number, a name with or without SIG in any case, and
// RTMIN+n or RTMAX-n.
//
// Source: signal(7).
func parseSignal(s string) (life.Signal, error) {
	if n, err := strconv.Atoi(s); err == nil {
		if n < 0 || n > sigaction.Last {
			return 0, fmt.Errorf("unknown signal %q: numbers go from 0 to %d", s, sigaction.Last)
		}
		return life.Signal(n), nil
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if sig := unix.SignalNum("SIG" + name); sig != 0 {
		return sig, nil
	}
	for prefix, base := range map[string]int{"RTMIN": firstRealtime, "RTMAX": sigaction.Last} {
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
		if sig := base + n; sig >= firstRealtime && sig <= sigaction.Last {
			return life.Signal(sig), nil
		}
	}
	text := "give a name as TERM or SIGTERM, or a number"
	if hint := nearest.Hint(name, signalNames()); hint != "" {
		text = hint
	}
	return 0, fmt.Errorf("unknown signal %q: %s", s, text)
}

// signalNames returns the names of the signals that have one, without SIG.
func signalNames() []string {
	var names []string
	for n := unix.Signal(1); n < firstRealtime; n++ {
		if name := strings.TrimPrefix(unix.SignalName(n), "SIG"); name != "" {
			names = append(names, name)
		}
	}
	return names
}
