package life

import (
	"errors"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/program/spawn"
)

// TestUndoInReverse: a step that fails has what was done before it, and what it has done
// itself, taken back, the last first; later steps are not done.
func TestUndoInReverse(t *testing.T) {
	var did []string
	do := func(name string, err error) step {
		return step{name, func() (func(), error) {
			did = append(did, name)
			return func() { did = append(did, "undo "+name) }, err
		}}
	}
	without := step{"without", func() (func(), error) { return nil, nil }}
	failure := errors.New("failure")
	m := &maker{r: &Runtime{}, request: request{CreateOptions: &CreateOptions{}}}
	must(t, m.run([]step{do("a", nil), without}))
	if err := m.run([]step{do("b", nil), do("c", failure), do("d", nil)}); err != failure {
		t.Errorf("got %v", err)
	}
	if want := []string{"a", "b", "c", "undo c", "undo b", "undo a"}; !slices.Equal(did, want) {
		t.Errorf("got %q, want %q", did, want)
	}
	m.takeBack()
	if len(did) != 6 {
		t.Errorf("it is taken back twice: %q", did)
	}
}

// TestServer: a message without a handler is an error, and its descriptor is closed; the end of
// the messages is the child's success when it has said that execve comes next.
func TestServer(t *testing.T) {
	ended := errors.New("ended early")
	served := func(events ...spawn.Event) error {
		s := newServer("the test", nil, nil)
		s.handlers = []handler{s.executes(), {tag: 0x10, below: 0x20, serve: func(e spawn.Event) (answer, error) {
			if e.Value != 0 {
				return finish, nil
			}
			return silence, nil
		}}}
		s.ended = func() error { return ended }
		s.next = func(time.Time) (spawn.Event, error) {
			if len(events) == 0 {
				return spawn.Event{}, spawn.ErrEnded
			}
			e := events[0]
			events = events[1:]
			return e, nil
		}
		return s.serve()
	}
	message := func(tag uint32, value int64) spawn.Event { return spawn.Event{Tag: tag, Value: value, Fd: -1} }
	if err := served(message(0x10, 0), message(0x1f, 0)); err != ended {
		t.Errorf("the end without a word: %v", err)
	}
	if err := served(message(compile.Executing, 0)); err != nil {
		t.Errorf("the end at execve: %v", err)
	}
	if err := served(message(0x1f, 1), message(0x20, 0)); err != nil {
		t.Errorf("a handler that is the last: %v", err)
	}
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	must(t, err)
	if err := served(spawn.Event{Tag: 0x20, Fd: null}); err == nil || err.Error() != "program: the test told the unknown tag 32" {
		t.Errorf("an unknown tag: %v", err)
	}
	if unix.Close(null) == nil {
		t.Error("its descriptor is open")
	}
}
