package compile

import (
	"errors"
	"testing"

	"hutch/libcontainer/program"
	"hutch/libcontainer/verify"
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
