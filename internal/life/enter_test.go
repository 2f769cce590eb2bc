package life

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/state"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/spawn"
)

// TestWaysIntoTheCgroups: which way in is tried after which error. Each is tried once, and a
// terminal is not handed over twice.
func TestWaysIntoTheCgroups(t *testing.T) {
	named := cgroup.Sub{"": "/a"}
	denied := fmt.Errorf("open it: %w", entryDenied(unix.EACCES))
	step := func(element string, errno unix.Errno) error {
		e := &program.Error{Errno: errno}
		e.Note.Element = program.T(element)
		return e
	}
	for _, c := range []struct {
		name     string
		way      entrance
		sub      cgroup.Sub
		unit     string
		terminal bool
		child    bool
		err      error
		want     *entrance // nil for none
	}{
		{name: "any other error", err: unix.EINVAL},
		{name: "the caller may not, and systemd may", unit: "x.scope", err: denied, want: &entrance{bySystemd: true}},
		{name: "to a sub-cgroup, too", way: entrance{sub: named}, sub: named, unit: "x.scope", err: denied,
			want: &entrance{sub: named, bySystemd: true}},
		{name: "without a unit", err: denied},
		{name: "by systemd already", way: entrance{bySystemd: true}, unit: "x.scope", err: denied},
		{name: "EACCES of a step", unit: "x.scope", err: entryDenied(step("process.cwd", unix.EACCES))},
		{name: "no room", err: unix.EAGAIN, want: &entrance{outside: true}},
		{name: "no room for systemd's", way: entrance{bySystemd: true}, err: unix.EAGAIN, want: &entrance{bySystemd: true, outside: true}},
		{name: "no room in a sub-cgroup", way: entrance{sub: named}, sub: named, err: unix.EAGAIN},
		{name: "no room in the sub-cgroup of init", way: entrance{sub: named}, err: unix.EAGAIN, want: &entrance{outside: true}},
		{name: "no room for a terminal", terminal: true, err: unix.EAGAIN},
		{name: "outside already", way: entrance{outside: true}, err: unix.EAGAIN},
		{name: "no process in a sub-cgroup that was named", way: entrance{sub: named}, sub: named, err: unix.EBUSY},
		{name: "init has ended", err: unix.EBUSY},
		{name: "EBUSY of another step", child: true, err: step("mounts[0]", unix.EBUSY)},
	} {
		e := &execution{
			way: c.way, p: &specs.Process{Terminal: c.terminal},
			c: &container{rec: &state.Record{Cgroup: state.Cgroup{Unit: c.unit, Paths: map[string]string{"": cgroup.Root + "/x"}}}},
		}
		if c.child {
			e.child = &spawn.Child{}
		}
		next, ok := e.wayAfter(c.err, c.sub)
		switch {
		case ok != (c.want != nil):
			t.Errorf("%s: got %+v, %v", c.name, next, ok)
		case ok && !reflect.DeepEqual(next, *c.want):
			t.Errorf("%s: got %+v, want %+v", c.name, next, *c.want)
		}
	}
}

// TestBarredFromACgroup: the error is the clone's, or that of the step that enters.
func TestBarredFromACgroup(t *testing.T) {
	entering := &program.Error{Errno: unix.EBUSY}
	entering.Note.Element = program.T(compile.CgroupElement)
	other := &program.Error{Errno: unix.EBUSY}
	for _, c := range []struct {
		child *spawn.Child
		err   error
		want  bool
	}{
		{nil, unix.EBUSY, true}, {nil, unix.EACCES, false},
		{&spawn.Child{}, errors.Join(entering, nil), true}, {&spawn.Child{}, other, false}, {&spawn.Child{}, unix.EBUSY, false},
	} {
		if got := (&execution{child: c.child}).barred(c.err); got != c.want {
			t.Errorf("%v, %v: got %v", c.child, c.err, got)
		}
	}
}
