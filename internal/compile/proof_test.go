package compile

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/verify"
)

// TestGoldenProgramsAreProven proves the programs that have golden listings.
func TestGoldenProgramsAreProven(t *testing.T) {
	for name, in := range inputs() {
		if name == "shared-mounts" { // which has no UTS namespace: validate refuses a host name
			in.Spec.Hostname = ""
		}
		out, err := Compile(in)
		if err != nil {
			t.Fatal(err)
		}
		prove(t, name, out.Program, in.Expect(out))
	}
	for name, in := range execInputs() {
		p, tasks, err := Exec(in)
		if err != nil {
			t.Fatal(err)
		}
		prove(t, name, p, in.Expect(tasks))
	}
}

func prove(t *testing.T, name string, p *program.Program, e *verify.Expect) {
	t.Helper()
	_, err := verify.Program(p, e)
	var broken *verify.Error
	switch {
	case errors.As(err, &broken):
		t.Errorf("%s: %v\nway: %s\nstate: %s", name, err, broken.Way(), broken.State)
	case err != nil:
		t.Errorf("%s: %v", name, err)
	}
}

// TestProofOfAnOpenProcess: a process is open to its user for no other caller, nor while it
// holds what is the host's.
func TestProofOfAnOpenProcess(t *testing.T) {
	prove := func(change func(*program.Program, *verify.Expect)) error {
		t.Helper()
		in := inputs()["user"]
		out, err := Compile(in)
		if err != nil {
			t.Fatal(err)
		}
		e := in.Expect(out)
		change(out.Program, e)
		_, err = verify.Program(out.Program, e)
		return err
	}
	// dumpable gives the calls that open the process, or close it.
	dumpable := func(p *program.Program, to int64) (at []int) {
		for pc := range p.Child {
			in := &p.Child[pc]
			if in.Op != program.OpSys || in.NR != unix.SYS_PRCTL {
				continue
			}
			what, _ := in.Args[0].Imm()
			if value, _ := in.Args[1].Imm(); what == unix.PR_SET_DUMPABLE && int64(value) == to {
				at = append(at, pc)
			}
		}
		return at
	}
	for name, c := range map[string]struct {
		change func(*program.Program, *verify.Expect)
		fails  bool
	}{
		"as it is":              {func(*program.Program, *verify.Expect) {}, false},
		"for root":              {func(_ *program.Program, e *verify.Expect) { e.Opens = false }, true},
		"open on after hooks":   {func(p *program.Program, _ *verify.Expect) { p.Child[dumpable(p, 0)[1]].Args[1] = program.Imm(1) }, true},
		"open at execve":        {func(p *program.Program, _ *verify.Expect) { p.Child[dumpable(p, 0)[3]].Args[1] = program.Imm(1) }, true},
		"open from the start":   {func(p *program.Program, _ *verify.Expect) { p.Child[dumpable(p, 0)[0]].Args[1] = program.Imm(1) }, true},
		"closed, as for others": {func(p *program.Program, _ *verify.Expect) { p.Child[dumpable(p, 1)[1]].Args[1] = program.Imm(0) }, false},
	} {
		err := prove(c.change)
		var broken *verify.Error
		if errors.As(err, &broken) != c.fails || c.fails && broken.Rule != verify.Dumpable {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
