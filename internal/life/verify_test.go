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
func hookProgram(t *testing.T, init namespace.Init) (*program.Program, *verify.Expect) {
	t.Helper()
	init.Pid, init.Pidfd, init.OwnRoot, init.InitCwd = 77, 9, true, true
	n := &inNamespaces{init: init}
	p, link, err := n.compile(specs.Hook{Path: "/bin/hook"}, [3]int{10, 11, 12})
	if err != nil {
		t.Fatal(err)
	}
	return p, &verify.Expect{
		Kind: verify.Hook, Spec: &specs.Spec{}, Hook: "/bin/hook", Args: []string{"/bin/hook"}, Exe: link.Register(), Std: [3]verify.Std{{Open: true}, {Open: true}, {Open: true}},
		Join: init.Flags, Pid: 77, Pidfd: 9, OwnRoot: true, InitCwd: true, CallersRoot: init.CallersRoot,
		Tags: verify.Tags{Executing: compile.Executing, Answered: func(uint32) bool { return false }},
	}
}

// TestHookProgramsAreProven proves the programs of hooks in the container's namespaces,
// and that they are refused when they keep a descriptor.
func TestHookProgramsAreProven(t *testing.T) {
	for _, init := range [...]namespace.Init{
		{Flags: unix.CLONE_NEWNS}, {Flags: unix.CLONE_NEWNS | unix.CLONE_NEWPID}, {Flags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUSER},
		{Flags: unix.CLONE_NEWNS, CallersRoot: true}, {Flags: unix.CLONE_NEWNS | unix.CLONE_NEWPID, CallersRoot: true},
	} {
		p, e := hookProgram(t, init)
		mustProve(t, p, e)
		for pc := range p.Child {
			if p.Child[pc].Op != program.OpSys || p.Child[pc].NR != unix.SYS_CLOSE_RANGE {
				continue
			}
			m := p.Copy()
			m.Child[pc] = program.Instr{Op: program.OpJump, To: program.Label(pc + 1)}
			if _, err := verify.Program(m, e); err == nil {
				t.Errorf("%#v: without instruction %d the program is taken", init, pc)
			}
		}
	}
}

// mustProve fails the test with the way to the instruction where a rule is broken.
func mustProve(t *testing.T, p *program.Program, e *verify.Expect) {
	t.Helper()
	_, err := verify.Program(p, e)
	var broken *verify.Error
	if errors.As(err, &broken) {
		t.Fatalf("%v\nway: %s\nstate: %s", err, broken.Way(), broken.State)
	}
	must(t, err)
}

// TestHookInAJoinedMountNamespaceHasTheRuntimesRoot: where init's mount namespace was there
// before, a hook with init's root directory, or with the one that the namespace has, is
// refused; and so is one with the runtime's elsewhere, where it would not see the
// container's mounts.
func TestHookInAJoinedMountNamespaceHasTheRuntimesRoot(t *testing.T) {
	init := namespace.Init{Flags: unix.CLONE_NEWNS}
	for _, callers := range [...]bool{false, true} {
		init.CallersRoot = callers
		p, e := hookProgram(t, init)
		e.CallersRoot = !callers
		var broken *verify.Error
		if _, err := verify.Program(p, e); !errors.As(err, &broken) || broken.Rule != verify.RootChange {
			t.Errorf("the caller's root %v: %v", callers, err)
		}
	}
	p, e := hookProgram(t, init)
	for pc := range p.Child {
		if in := &p.Child[pc]; in.Op == program.OpSys && (in.NR == unix.SYS_FCHDIR || in.NR == unix.SYS_CHROOT) {
			m := p.Copy()
			m.Child[pc] = program.Instr{Op: program.OpJump, To: program.Label(pc + 1)}
			var broken *verify.Error
			if _, err := verify.Program(m, e); !errors.As(err, &broken) || broken.Rule != verify.RootChange {
				t.Errorf("without instruction %d: %v", pc, err)
			}
		}
	}
}

// TestHookProgramsExecuteTheHook: a hook with other arguments, or another environment, than the
// configuration's is refused.
func TestHookProgramsExecuteTheHook(t *testing.T) {
	for name, change := range map[string]func(e *verify.Expect){
		"arguments":   func(e *verify.Expect) { e.Args = []string{"/bin/hook", "x"} },
		"environment": func(e *verify.Expect) { e.Env = []string{"A=b"} },
	} {
		p, e := hookProgram(t, namespace.Init{Flags: unix.CLONE_NEWNS})
		change(e)
		var broken *verify.Error
		if _, err := verify.Program(p, e); !errors.As(err, &broken) || broken.Rule != verify.Ends {
			t.Errorf("other %s: %v", name, err)
		}
	}
}

// TestPlanVerify: a proof names each rule, and a broken rule is an error that says which,
// where and the way to it.
func TestPlanVerify(t *testing.T) {
	p, e := hookProgram(t, namespace.Init{Flags: unix.CLONE_NEWNS})
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
