package hook

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/fault"
)

// Failure is the error of the hook i of the kind that somebody else has run: its wait
// status, and the end of its output that is in none of the files o.
func Failure(kind string, i int, h *specs.Hook, ws unix.WaitStatus, output []byte, o Output) error {
	var t tail
	t.add(output)
	return fmt.Errorf("hooks.%s[%d]: %w", kind, i, judge(h, ws, &t, &o))
}

// Late is the error of the hook i of the kind that was killed for its timeout.
func Late(kind string, i int, h *specs.Hook) error {
	return fmt.Errorf("hooks.%s[%d]: %w", kind, i, late(h, &tail{}, &Output{}))
}

// Check returns an error for a hook whose timeout is none.
func Check(hooks []specs.Hook, kind string) error {
	for i := range hooks {
		if err := checkTimeout(&hooks[i]); err != nil {
			return fmt.Errorf("hooks.%s[%d]: %w", kind, i, err)
		}
	}
	return nil
}

func checkTimeout(h *specs.Hook) error {
	if h.Timeout != nil && *h.Timeout <= 0 {
		return fmt.Errorf("timeout: %d is no time; give a number of seconds above 0, or leave it out", *h.Timeout)
	}
	return nil
}

// judge is the error of a hook that has ended with the status, nil for success.
func judge(h *specs.Hook, ws unix.WaitStatus, t *tail, o *Output) error {
	switch {
	case ws.Signaled():
		return fmt.Errorf("run %s: killed by signal %d (%s)%s%s", fault.Line(h.Path), ws.Signal(), unix.SignalName(ws.Signal()), o.where(), t.suffix())
	case ws.ExitStatus() != 0:
		return fmt.Errorf("run %s: exit status %d%s%s", fault.Line(h.Path), ws.ExitStatus(), o.where(), t.suffix())
	}
	return nil
}

func late(h *specs.Hook, t *tail, o *Output) error {
	return fmt.Errorf("%s: no end within %d s (timeout); killed%s%s", fault.Line(h.Path), *h.Timeout, o.where(), t.suffix())
}
