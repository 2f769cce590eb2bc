package verify_test

import (
	"errors"
	"flag"
	"testing"
	"time"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/list"
	"github.com/hutch-project/hutch/internal/validate"
	"github.com/hutch-project/hutch/internal/verify"
)

var (
	programs = flag.Int("programs", 1500, "number of random configurations whose programs are proven")
	seed     = flag.Uint64("seed", 1, "seed of the first of them")
)

// TestRandomPrograms proves the programs of random configurations that Hutch takes.
func TestRandomPrograms(t *testing.T) {
	proven, refused, steps := 0, 0, 0
	var proving time.Duration
	for i := range *programs {
		n := *seed + uint64(i)
		p, e := randomProgram(n)
		if p == nil {
			refused++
			continue
		}
		begin := time.Now()
		r, err := verify.Program(p, e)
		proving += time.Since(begin)
		if err != nil {
			explain(t, p, err)
			t.Fatalf("seed %d", n)
		}
		steps += r.Steps
		proven++
	}
	t.Logf("%d programs proven, %d configurations refused before; %d steps, %v a program", proven, refused, steps, proving/time.Duration(max(proven, 1)))
	if proven < *programs/2 {
		t.Errorf("only %d of %d configurations are taken: the generator makes too little", proven, *programs)
	}
}

// randomProgram returns the program of a random configuration, nil for one that Hutch
// refuses.
func randomProgram(seed uint64) (*program.Program, *verify.Expect) {
	g := newGenerator(seed)
	if g.chance(4) {
		in := g.exec()
		if validate.Process(in.Process) != nil {
			return nil, nil
		}
		p, tasks, err := compile.Exec(in)
		if err != nil {
			return nil, nil
		}
		return p, in.Expect(tasks)
	}
	in := g.input()
	if _, err := validate.Spec(in.Spec, validate.Options{}); err != nil {
		return nil, nil
	}
	out, err := compile.Compile(in)
	if err != nil {
		return nil, nil
	}
	return out.Program, in.Expect(out)
}

// explain prints where and why a program was refused.
func explain(t *testing.T, p *program.Program, err error) {
	t.Helper()
	var e *verify.Error
	if !errors.As(err, &e) {
		t.Error(err)
		return
	}
	t.Errorf("%v\nway: %s\nstate: %s", e, e.Way(), e.State)
	for _, l := range list.Lines(p, &list.Options{TagName: compile.TagName}) {
		if l.Section == "child" && l.PC >= e.Place.PC-12 && l.PC <= e.Place.PC+1 {
			t.Logf("%d %s%q -> %s %s", l.PC, l.Call, l.Args, l.Result, l.OnError)
		}
	}
}
