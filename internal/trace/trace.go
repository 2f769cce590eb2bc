// Package trace writes where the time of a command went: the runtime's phases
// and each instruction of the container's init, as a file that Perfetto
// (ui.perfetto.dev) and Chrome (about:tracing) show.
//
// All methods do nothing on a nil *Trace, so that its users need no ifs. Do not
// use this package for the container's own events.
//
// Source: the "Trace Event Format" of the Chromium project, complete and
// metadata events in the JSON object format.
package trace

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/jsontext"
	"github.com/hutch-project/hutch/internal/outfile"
	"github.com/hutch-project/hutch/internal/program/spawn"
)

// Trace collects spans. It is for one goroutine.
type Trace struct {
	// OnPhase is called with the name of each phase as it begins: for tests
	// that end the process there. Nil is none.
	OnPhase func(name string)

	pid    int
	phases []span
	open   bool // the last phase has no end yet
	kids   []kid
}

// span is a piece of time; start and end are CLOCK_MONOTONIC.
type span struct {
	name       string
	start, end time.Duration
}

// kid is a process that ran a program.
type kid struct {
	pid    int
	stamps []spawn.Stamp
	end    time.Duration
}

// New returns a Trace without phases.
func New() *Trace { return &Trace{pid: os.Getpid()} }

// now is CLOCK_MONOTONIC, the clock of a child's stamps.
func now() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0 // the clock is always there
	}
	return time.Duration(ts.Nano())
}

// Phase ends the phase before and begins the phase name.
func (t *Trace) Phase(name string) {
	if t == nil {
		return
	}
	at := now()
	t.endAt(at)
	t.phases = append(t.phases, span{name: name, start: at})
	t.open = true
	if t.OnPhase != nil {
		t.OnPhase(name)
	}
}

// End ends the phase that goes on, if one does.
func (t *Trace) End() {
	if t != nil {
		t.endAt(now())
	}
}

func (t *Trace) endAt(at time.Duration) {
	if t.open {
		t.phases[len(t.phases)-1].end = at
		t.open = false
	}
}

// AddChild adds the instructions of the process pid, whose stamps may come in
// any order. Each lasts until the next begins, the last until end, which is
// CLOCK_MONOTONIC; 0 is now.
func (t *Trace) AddChild(stamps []spawn.Stamp, pid int, end time.Duration) {
	if t == nil || len(stamps) == 0 {
		return
	}
	if end == 0 {
		end = now()
	}
	t.kids = append(t.kids, kid{pid, stamps, end})
}

// Check returns an error when the file path cannot be written, before there is anything to
// write; it makes the file if need be. With an empty path it does nothing.
func Check(path string) error {
	if path == "" {
		return nil
	}
	if info, err := os.Stat(path); err == nil && info.Mode()&os.ModeNamedPipe != 0 {
		return nil // to open it is to wait for a reader, and to close it the end of what that reads
	}
	if err := outfile.Make(path); err != nil {
		return fmt.Errorf("--trace: %w", err)
	}
	return nil
}

// Write ends the phase that goes on and writes the file path, which it makes anew. What
// is no regular file is written to. With an empty path it does nothing.
func (t *Trace) Write(path string) error {
	if t == nil || path == "" {
		return nil
	}
	t.End()
	if err := outfile.Replace(path, t.append(nil)); err != nil {
		return fmt.Errorf("trace: %w", err)
	}
	return nil
}

func (t *Trace) append(buf []byte) []byte {
	buf = append(buf, `{"displayTimeUnit":"ns","traceEvents":[`...)
	buf = appendNames(buf, t.pid, "hutch", "runtime")
	for i := range t.phases {
		buf = append(buf, ",\n"...)
		buf = appendSpan(buf, t.phases[i], "phase", t.pid)
		buf = append(buf, '}')
	}
	for i := range t.kids {
		buf = append(buf, ",\n"...)
		buf = appendKid(buf, &t.kids[i])
	}
	return append(buf, "]}\n"...)
}

// appendNames appends the metadata events that name a process and its thread.
func appendNames(b []byte, pid int, process, thread string) []byte {
	b = appendName(b, "process_name", pid, process)
	return appendName(append(b, ",\n"...), "thread_name", pid, thread)
}

func appendName(b []byte, event string, pid int, name string) []byte {
	b = append(append(b, `{"name":"`...), event...)
	b = appendIDs(append(b, `","ph":"M"`...), pid)
	b = append(b, `,"args":{"name":`...)
	return append(jsontext.AppendString(b, name), "}}"...)
}

func appendIDs(b []byte, pid int) []byte {
	b = strconv.AppendInt(append(b, `,"pid":`...), int64(pid), 10)
	return strconv.AppendInt(append(b, `,"tid":`...), int64(pid), 10)
}

// appendSpan appends a complete event without its closing brace.
func appendSpan(b []byte, s span, cat string, pid int) []byte {
	b = jsontext.AppendString(append(b, `{"name":`...), s.name)
	b = append(append(append(b, `,"cat":"`...), cat...), `","ph":"X","ts":`...)
	b = appendMicros(b, s.start)
	b = appendMicros(append(b, `,"dur":`...), max(s.end-s.start, 0))
	return appendIDs(b, pid)
}

// appendMicros appends d in microseconds, the unit of the format, to the
// nanosecond.
func appendMicros(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, float64(d)/1e3, 'f', 3, 64)
}

func appendKid(buf []byte, k *kid) []byte {
	buf = appendNames(buf, k.pid, "container init", "program")
	stamps := inOrder(k.stamps)
	for i := range stamps {
		s := &stamps[i]
		end := max(k.end, s.At)
		if i+1 < len(stamps) {
			end = stamps[i+1].At
		}
		element, doing, step := s.Note.Element.String(), s.Note.Doing.String(), s.Note.Step.String()
		name := s.Call
		if name == "" {
			name = step
		}
		if name == "" {
			name = "instruction " + strconv.Itoa(s.PC)
		}
		buf = append(buf, ",\n"...)
		buf = appendSpan(buf, span{name, s.At, end}, "instruction", k.pid)
		buf = strconv.AppendInt(append(buf, `,"args":{"pc":`...), int64(s.PC), 10)
		buf = jsontext.AppendString(append(buf, `,"element":`...), element)
		buf = jsontext.AppendString(append(buf, `,"doing":`...), doing)
		buf = jsontext.AppendString(append(buf, `,"step":`...), step)
		buf = append(buf, "}}"...)
	}
	return buf
}
