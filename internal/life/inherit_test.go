package life

import (
	"reflect"
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// ownOfExec are the members of a process that exec takes from its own process alone: what
// it runs, for whom, and how it is seen.
var ownOfExec = []string{"Args", "CommandLine", "ConsoleSize", "Cwd", "Env", "Terminal", "User"}

// TestInherit: each member of a process is either taken from the container's own where exec's
// leaves it out, or one of exec's own. A new one of the specification is to be decided on:
// one that confines a process and is forgotten leaves exec less confined.
func TestInherit(t *testing.T) {
	members := reflect.TypeFor[specs.Process]()
	for i := range members.NumField() {
		name := members.Field(i).Name
		own, p := &specs.Process{}, &specs.Process{}
		set := fill(reflect.ValueOf(own).Elem().Field(i))
		inherit(p, own)
		got := reflect.ValueOf(p).Elem().Field(i)
		taken := !got.IsZero() && reflect.DeepEqual(got.Interface(), set.Interface())
		if taken == slices.Contains(ownOfExec, name) {
			t.Errorf("process.%s: taken from the container's: %v", name, taken)
		}
	}
}

// fill sets a value that is not zero.
func fill(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString("x")
	case reflect.Int:
		v.SetInt(7)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Struct:
		fill(v.Field(0))
	}
	return v
}
