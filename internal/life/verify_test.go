package life

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/verify"
)

// hookProgram is the program of a createContainer hook, with what it is proven against.
func hookProgram(t *testing.T, flags uint64) (*program.Program, *verify.Expect) {
	t.Helper()
	n := &inNamespaces{init: namespace.Init{Pid: 77, Pidfd: 9, Flags: flags, OwnRoot: true, InitCwd: true}}
	p, link, err := n.compile(specs.Hook{Path: "/bin/hook"}, [3]int{10, 11, 12})
	if err != nil {
		t.Fatal(err)
	}
	return p, &verify.Expect{
		Kind: verify.Hook, Spec: &specs.Spec{}, Hook: "/bin/hook", Exe: link.Register(), Std: [3]verify.Std{{Open: true}, {Open: true}, {Open: true}},
		Join: flags, Pid: 77, Pidfd: 9, OwnRoot: true, InitCwd: true,
		Tags: verify.Tags{Executing: compile.Executing, Answered: func(uint32) bool { return false }},
	}
}

// TestHookProgramsAreProven proves the programs of hooks in the container's namespaces,
// and that they are refused when they keep a descriptor.
func TestHookProgramsAreProven(t *testing.T) {
	for _, flags := range [...]uint64{unix.CLONE_NEWNS, unix.CLONE_NEWNS | unix.CLONE_NEWPID, unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUSER} {
		p, e := hookProgram(t, flags)
		if _, err := verify.Program(p, e); err != nil {
			var broken *verify.Error
			if errors.As(err, &broken) {
				t.Fatalf("%#x: %v\nway: %s\nstate: %s", flags, err, broken.Way(), broken.State)
			}
			t.Fatal(err)
		}
		for pc := range p.Child {
			if p.Child[pc].Op != program.OpSys || p.Child[pc].NR != unix.SYS_CLOSE_RANGE {
				continue
			}
			m := p.Copy()
			m.Child[pc] = program.Instr{Op: program.OpJump, To: program.Label(pc + 1)}
			if _, err := verify.Program(m, e); err == nil {
				t.Errorf("%#x: without instruction %d the program is taken", flags, pc)
			}
		}
	}
}

// TestPlanVerify: a proof names each rule, and a broken rule is an error that says which,
// where and the way to it.
func TestPlanVerify(t *testing.T) {
	p, e := hookProgram(t, unix.CLONE_NEWNS)
	proof, err := prove(p, e)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := proof.WriteText(&text); err != nil || !strings.Contains(text.String(), verify.FdExec.ID()+": "+verify.FdExec.String()+"\n    ") {
		t.Errorf("%v: %s", err, text.String())
	}
	var document struct {
		Rules []struct {
			Rule         string
			Instructions []struct{ PC int }
		}
	}
	text.Reset()
	if err := errors.Join(proof.WriteJSON(&text), json.Unmarshal([]byte(text.String()), &document)); err != nil || len(document.Rules[verify.FdExec].Instructions) == 0 {
		t.Errorf("%v: %s", err, text.String())
	}
	e.Hook = "/bin/other"
	if _, err := prove(p, e); err == nil || !strings.Contains(err.Error(), "rule ends: instruction") || !strings.Contains(err.Error(), "\nway: ") {
		t.Errorf("another hook's program: %v", err)
	}
}
