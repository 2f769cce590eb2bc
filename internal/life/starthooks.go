package life

import (
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
	now    int // index of the one that runs, -1 before the first
	output []byte
	files  hook.Output
	writer *hook.Writer // to files
}

func newStartHooks(hooks []specs.Hook, files hook.Output) (*startHooks, error) {
	s := &startHooks{hooks: hooks, now: -1, files: files, writer: hook.NewWriter(files)}
	return s, hook.Check(hooks, "startContainer")
}

// follow serves an init that has been let go, until it has executed its program. The error
// of a hook that has failed, or takes longer than its timeout, is as that of the others.
func (h *startHooks) follow(s *server) error {
	defer h.writer.Close()
	s.handlers = append(h.handlers(s), s.executes())
	s.late = func() error { return hook.Late("startContainer", h.now, &h.hooks[h.now]) }
	return s.serve()
}

// handlers returns those of the messages about hooks.
func (h *startHooks) handlers(s *server) []handler {
	begins := func(e spawn.Event) (answer, error) {
		if e.Value < 0 || e.Value >= int64(len(h.hooks)) {
			return silence, nil
		}
		h.now, h.output, s.deadline = int(e.Value), nil, time.Time{}
		if limit := h.hooks[h.now].Timeout; limit != nil {
			s.deadline = time.Now().Add(time.Duration(*limit) * time.Second)
		}
		return silence, nil
	}
	output := func(e spawn.Event) (answer, error) {
		h.output = append([]byte(nil), e.Data...) // valid until the next message
		return silence, nil
	}
	failed := func(e spawn.Event) (answer, error) {
		if h.now < 0 {
			return silence, nil
		}
		return silence, hook.Failure("startContainer", h.now, &h.hooks[h.now], unix.WaitStatus(e.Value), h.output, h.files)
	}
	stdout := func(e spawn.Event) (answer, error) { return silence, h.writer.Stdout(e.Data) }
	stderr := func(e spawn.Event) (answer, error) { return silence, h.writer.Stderr(e.Data) }
	return []handler{
		{tag: compile.HookStdout, doing: "append it to the file of run.oci.hooks.stdout", serve: stdout},
		{tag: compile.HookStderr, doing: "append it to the file of run.oci.hooks.stderr", serve: stderr},
		{tag: compile.HookBegins, doing: "watch its timeout", serve: begins},
		{tag: compile.HookOutput, doing: "keep its output for the error", serve: output},
		{tag: compile.HookFailed, doing: "end the container", serve: failed},
	}
}

// insideState returns the state that a hook in the container finds: the process id is init's
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

// pidInside returns the number of the process in its own pid namespace.
//
// Source: proc_pid_status(5), "NSpid".
func pidInside(pid int) (int, error) {
	status, err := statusIn("/proc/" + strconv.Itoa(pid))
	if err != nil {
		return 0, err
	}
	if ids := strings.Fields(status["NSpid"]); len(ids) > 0 {
		return strconv.Atoi(ids[len(ids)-1])
	}
	return pid, nil
}

// statusIn returns the fields of the status of a process or a thread by its directory in
// /proc, each without the space around it.
//
// Source: proc_pid_status(5).
func statusIn(dir string) (map[string]string, error) {
	text, err := os.ReadFile(dir + "/status")
	if err != nil {
		return nil, err
	}
	status := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		status[name] = strings.TrimSpace(value)
	}
	return status, nil
}

// beginHooks sends init, which has been let go, the state for its hooks.
func (m *maker) beginHooks() (*startHooks, error) {
	var hooks []specs.Hook
	if h := m.bundle.spec.Hooks; h != nil {
		hooks = h.StartContainer
	}
	started, err := newStartHooks(hooks, m.c.hookOutput())
	if err != nil || len(hooks) == 0 {
		return started, err
	}
	text, err := insideState(m.c.rec, Created)
	if err != nil {
		return nil, err
	}
	for frame := range state.Frames(text, compile.HookFrame) {
		if err := m.child.Send(frame); err != nil {
			return nil, m.child.Cause(err)
		}
	}
	return started, nil
}
