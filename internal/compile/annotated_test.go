package compile

import (
	"reflect"
	"testing"

	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/template"
	"github.com/hutch-project/hutch/internal/verify"
)

// TestAnnotatedReachesInitAndExec: what an annotation says of the processes is in the program of
// init and in that of exec, and each is proven against it: one without it is refused.
func TestAnnotatedReachesInitAndExec(t *testing.T) {
	values := map[string]any{
		"RawFilter":  "BgAAAAAA/38=", // returns SECCOMP_RET_ALLOW
		"KeepGroups": true,
	}
	fields := reflect.TypeFor[Annotated]()
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		value, ok := values[name]
		if !ok {
			t.Errorf("give the test a value for %s", name)
			continue
		}
		var with Annotated
		reflect.ValueOf(&with).Elem().Field(i).Set(reflect.ValueOf(value))

		// Where the groups are left alone, nothing but the annotation says so.
		init := *inputs()["default"]
		out, err := Compile(&init)
		if err != nil {
			t.Fatal(err)
		}
		init.Annotated = with
		if _, err := verify.Program(out.Program, init.Expect(out)); err == nil {
			t.Errorf("init: a program without %s is proven", name)
		}

		spec := template.Spec()
		exec := ExecInput{
			Process: spec.Process, Linux: spec.Linux, Host: init.Host,
			Init: namespace.Init{Pid: 77, Pidfd: 5, Flags: execInputs()["exec"].Init.Flags},
		}
		p, tasks, err := Exec(&exec)
		if err != nil {
			t.Fatal(err)
		}
		prove(t, "exec", p, exec.Expect(tasks))
		exec.Annotated = with
		if _, err := verify.Program(p, exec.Expect(tasks)); err == nil {
			t.Errorf("exec: a program without %s is proven", name)
		}
	}
}
