package life

import (
	"bufio"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/host/hook"
	"github.com/hutch-project/hutch/internal/host/state"
	"github.com/hutch-project/hutch/internal/program/spawn"
)

// startHooks follows init's startContainer hooks by its messages.
type startHooks struct {
	hooks  []specs.Hook
	now    int       // index of the one that runs, -1 before the first
	end    time.Time // when that has to have ended, zero for no limit
	output []byte

	executing bool // init has told, by result.fifo, that its execve comes next
}

func newStartHooks(hooks []specs.Hook) (*startHooks, error) {
	return &startHooks{hooks: hooks, now: -1}, hook.Check(hooks, "startContainer")
}

// take takes a message of init. Its error is that of a hook that has failed.
func (s *startHooks) take(tag uint32, value int64, data []byte) error {
	switch {
	case tag == compile.HookBegins && value >= 0 && value < int64(len(s.hooks)):
		s.now, s.end, s.output = int(value), time.Time{}, nil
		if limit := s.hooks[s.now].Timeout; limit != nil {
			s.end = time.Now().Add(time.Duration(*limit) * time.Second)
		}
	case s.now < 0:
	case tag == compile.HookOutput:
		s.output = append([]byte(nil), data...)
	case tag == compile.HookFailed:
		return hook.Failure("startContainer", s.now, &s.hooks[s.now], unix.WaitStatus(value), s.output)
	case tag == compile.Executing:
		s.end = time.Time{}
	}
	return nil
}

// late is the error of a hook that takes longer than its timeout.
func (s *startHooks) late() error {
	return hook.Late("startContainer", s.now, &s.hooks[s.now])
}

// next waits for init's next message while its hooks run.
func (s *startHooks) next(child *spawn.Child) (spawn.Event, error) {
	e, err := child.NextBefore(s.end)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return e, s.late()
	}
	if err == nil {
		err = s.take(e.Tag, e.Value, e.Data)
	}
	return e, err
}

// insideState is the state that a hook in the container finds: the process id is init's
// "as seen by the container".
//
// Source: runtime-spec runtime.md "State".
func insideState(r *state.Record, s Status) ([]byte, error) {
	pid := 1
	if !r.PrivatePid {
		var err error
		if pid, err = pidInside(r.Pid); err != nil {
			return nil, err
		}
	}
	seen := *r
	seen.Pid = pid
	return hookState(&seen, s), nil
}

// pidInside is the number of the process in its own pid namespace.
//
// Source: proc_pid_status(5), "NSpid".
func pidInside(pid int) (int, error) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if list, ok := strings.CutPrefix(lines.Text(), "NSpid:"); ok {
			ids := strings.Fields(list)
			return strconv.Atoi(ids[len(ids)-1])
		}
	}
	return pid, nil
}

// beginHooks sends init, which has been let go, the state for its hooks.
func (b *build) beginHooks() (*startHooks, error) {
	var hooks []specs.Hook
	if h := b.spec.Hooks; h != nil {
		hooks = h.StartContainer
	}
	s, err := newStartHooks(hooks)
	if err != nil || len(hooks) == 0 {
		return s, err
	}
	text, err := insideState(b.rec, Created)
	if err != nil {
		return nil, err
	}
	for frame := range state.Frames(text, compile.HookFrame) {
		if err := b.child.Send(frame); err != nil {
			return nil, b.child.Cause(err)
		}
	}
	return s, nil
}
