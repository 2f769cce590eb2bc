package life

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/cgroup/stats"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/internal/trace"
)

// answer is what a child gets for a message.
type answer uint8

const (
	silence answer = iota // nothing: it does not wait, or has been sent what it waits for
	release               // the byte that ends its wait at a barrier
	finish                // nothing, and its messages are served
)

// handler does what the messages of one tag ask for, or of all from tag up to below, where
// a part of the program numbers what it asks for. The part that knows the answer
// contributes it.
type handler struct {
	tag, below uint32 // below is 0 for one tag alone
	doing      string // for the listing of a plan; empty where the work at the barrier has it
	serve      func(spawn.Event) (answer, error)
}

// matches reports whether the messages of tag are the handler's.
func (h *handler) matches(tag uint32) bool {
	return tag == h.tag || h.below > 0 && tag > h.tag && tag < h.below
}

// server answers the messages of a child that runs a program: of init, of a further
// process, of a hook. It is the only reader of messages. What it takes is proven to
// be the program's before, see spawn.Child.Next; what a message carries is for its
// handler to prove.
type server struct {
	who      string         // what is served, for errors
	child    *spawn.Child   // nil where messages come by result.fifo
	cgroup   cgroup.Manager // says whether the OOM killer has been there
	handlers []handler
	next     func(deadline time.Time) (spawn.Event, error)
	deadline time.Time    // for the next message, zero for none
	late     func() error // the error of a message that is late
	trace    *trace.Trace // gets a phase for each message; may be nil

	filtered  bool         // the child loads a seccomp filter of the configuration's
	executing bool         // the child has said that its execve comes next
	ended     func() error // what it is when the child ends without having said so
}

// newServer serves a child: its end without a word is an error.
func newServer(who string, child *spawn.Child, cg cgroup.Manager, handlers ...handler) *server {
	s := &server{who: who, child: child, cgroup: cg, handlers: handlers, next: child.NextBefore}
	s.ended = s.endedEarly
	return s
}

// executes returns the handler for the message that execve comes next.
func (s *server) executes() handler {
	serve := func(spawn.Event) (answer, error) {
		s.executing, s.deadline = true, time.Time{} // what runs from now on may take for ever
		return silence, nil
	}
	return handler{tag: compile.Executing, doing: "take the end of the socket for success", serve: serve}
}

// serve answers messages until a handler has finished, or the child has executed its program.
func (s *server) serve() error {
	for {
		e, err := s.next(s.deadline)
		if errors.Is(err, os.ErrDeadlineExceeded) && s.late != nil {
			return s.late()
		}
		finished := false
		if err == nil {
			finished, err = s.handle(e)
		}
		switch {
		case errors.Is(err, spawn.ErrEnded) && s.executing:
			return nil
		case errors.Is(err, spawn.ErrEnded):
			return s.ended()
		case finished || err != nil:
			return err
		}
	}
}

// handle answers one message, and reports whether it was the last.
func (s *server) handle(event spawn.Event) (finished bool, err error) {
	if s.trace != nil {
		s.trace.Phase("message of " + s.who)
	}
	for i := range s.handlers {
		h := &s.handlers[i]
		if !h.matches(event.Tag) {
			continue
		}
		answer, err := h.serve(event)
		if err == nil && answer == release {
			return false, s.release()
		}
		if s.child != nil {
			err = s.child.Cause(err)
		}
		return answer == finish, err
	}
	if event.Fd >= 0 {
		unix.Close(event.Fd)
	}
	return false, fmt.Errorf("program: %s told the unknown tag %d", s.who, event.Tag)
}

// release answers a barrier. A child that is not there any more has reported why, or has
// ended without a word.
func (s *server) release() error {
	err := s.child.Release()
	cause := s.child.Cause(err)
	if errors.Is(cause, unix.EPIPE) && cause == err {
		return s.endedEarly()
	}
	return cause
}

// endedEarly returns why the child is gone without a report.
func (s *server) endedEarly() error {
	s.child.HangUp() // one that lives all the same, and waits, ends
	ws, err := s.child.Wait()
	if err != nil {
		return err
	}
	if ws.Signal() == unix.SIGKILL {
		if err := oomKilled(s.cgroup, s.who, "while it was set up"); err != nil {
			return err
		}
	}
	advice := ""
	if s.filtered && ws.Signal() != unix.SIGKILL {
		advice = "; if linux.seccomp denies read, write, execve or exit_group, allow them"
	}
	if ws.Signaled() {
		return fmt.Errorf("%s was killed by signal %d (%s) while it was set up%s", s.who, ws.Signal(), unix.SignalName(ws.Signal()), advice)
	}
	return fmt.Errorf("%s ended with status %d while it was set up%s", s.who, ws.ExitStatus(), advice)
}

// oomKilled returns an error where the OOM killer has ended a process, nil where it has
// not.
func oomKilled(cg cgroup.Manager, name, when string) error {
	n, err := stats.OOMKills(cg.Paths())
	if n > 0 {
		return fmt.Errorf("the OOM killer ended %s %s: linux.resources.memory.limit is too low; raise it", name, when)
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) {
		// systemd has removed the cgroup that would tell.
		return fmt.Errorf("%s was killed %s, by the OOM killer unless by somebody: is linux.resources.memory.limit too low?", name, when)
	}
	return nil
}
